import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const project = fileURLToPath(new URL('../..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'kdumpctl-config-'));
const root = join(directory, 'root');
const conf = join(root, 'etc/kdump.conf');

beforeAll(async () => {
  symlinkSync(join(project, 'node_modules'), join(directory, 'node_modules'));
  await build({
    entryPoints: [join(project, 'src/cli/kdumpctl.ts')],
    outfile: join(directory, 'kdumpctl.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
  });
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(conf, '# mine\npath /dumps\n');
});

const kdumpctl = (...args: string[]) => {
  const result = spawnSync(process.execPath, [join(directory, 'kdumpctl.mjs'), ...args], {
    encoding: 'utf8',
  });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
};
const config = (...args: string[]) => kdumpctl('config', '--root', root, ...args);

describe('kdumpctl', () => {
  it('helps, tells its version, and refuses what it does not know', () => {
    expect(kdumpctl('--help')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/Usage: kdumpctl[\s\S]*config show/),
    });
    expect(kdumpctl('-v').stdout).toMatch(/^kdumpctl: kdump-tools version \d/);
    expect(kdumpctl()).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^kdump: no verb given\n\s*Usage:/),
    });
    expect(kdumpctl('toString')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('unknown verb "toString"'),
    });
    expect(kdumpctl('config', '--help')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('set <name>'),
    });
    expect(kdumpctl('config')).toMatchObject({ status: 1, stderr: expect.stringContaining('is needed') });
    expect(config('show', '--nonsense')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('nonsense'),
    });
    expect(config('shw')).toMatchObject({ status: 1 });
  });
});

describe('kdumpctl config', () => {
  it('shows what is set, and where', () => {
    expect(config('show')).toEqual({ status: 0, stdout: `path /dumps  # /etc/kdump.conf:2\n`, stderr: '' });
    expect(config('show', '--all').stdout).toContain('# final_action reboot  # default\n');
    expect(JSON.parse(config('show', '--json').stdout)).toMatchObject({
      settings: { targets: [{ kind: 'directory', path: '/dumps' }] },
      config: { path: '/dumps' },
      origins: { path: { line: 2 } },
    });
  });

  it('what it shows is a configuration', () => {
    const shown = join(directory, 'shown.conf');
    writeFileSync(shown, config('show', '--all').stdout);
    expect(config('check', shown)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('checks, with 1 for errors and 0 for warnings', () => {
    expect(config('check')).toEqual({ status: 0, stdout: '', stderr: '' });
    writeFileSync(conf, 'default shell\n');
    expect(config('check')).toMatchObject({ status: 0, stdout: expect.stringContaining('1:1: warning: ') });
    writeFileSync(conf, 'path /a\npath /b\nfoo\n');
    expect(config('check')).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(
        /kdump\.conf:2:1: error: Duplicated[\s\S]*kdump\.conf:3:1: error: Invalid kdump config option foo/,
      ),
    });
    const checked = config('check', '--json', conf);
    expect(checked.status).toBe(1);
    expect(JSON.parse(checked.stdout)).toMatchObject({ ok: false, findings: [{ line: 2 }, { line: 3 }] });
    expect(config('check', '/nonexistent')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('does not exist'),
    });
  });

  it('gets values', () => {
    expect(config('get', 'path')).toEqual({ status: 0, stdout: '/dumps\n', stderr: '' });
    expect(config('get', 'core_collector').stdout).toBe('makedumpfile -l --message-level 7 -d 31\n');
    expect(config('get', 'retain_count')).toEqual({ status: 1, stdout: '', stderr: '' });
    expect(config('get', 'nonsense')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Invalid kdump config option'),
    });
    expect(config('get', '--json', 'core_collector').stdout).toContain('"makedumpfile",');
  });

  it('sets values as they are typed, dashes and all, and keeps the rest', () => {
    const quiet = { status: 0, stdout: '', stderr: '' };
    expect(config('set', 'core_collector', 'makedumpfile', '-c', '--message-level', '7', '-d', '31')).toEqual(
      quiet,
    );
    expect(config('set', 'image_builder', 'dracut')).toEqual(quiet);
    expect(
      config('set', 'dracut_args', '--add', 'lvm', '--omit-drivers', 'cfg80211 snd', '--json', '007'),
    ).toEqual(quiet);
    expect(config('set', 'nfs', 'files:/dumps')).toEqual(quiet);
    expect(config('set', 'ssh', 'kdump@vault')).toEqual(quiet);
    expect(config('set', '--add', 'fallback_target', 'directory /var/crash')).toEqual(quiet);
    expect(config('set', '--add', 'fallback_target', 'nfs', 'files:/dumps')).toEqual(quiet);
    expect(readFileSync(conf, 'utf8')).toBe(
      [
        '# mine',
        'path /dumps',
        'core_collector makedumpfile -c --message-level 7 -d 31',
        'image_builder dracut',
        'dracut_args --add lvm --omit-drivers "cfg80211 snd" --json 007',
        'ssh kdump@vault',
        'fallback_target directory /var/crash',
        'fallback_target nfs files:/dumps',
        '',
      ].join('\n'),
    );
    expect(config('get', 'ssh').stdout).toBe('kdump@vault\n');
    expect(config('get', 'target').stdout).toBe('ssh kdump@vault\n');
    expect(config('get', 'nfs').status).toBe(1);
    expect(config('get', 'fallback_target').stdout).toBe('directory /var/crash\nnfs files:/dumps\n');
    expect(config('unset', 'fallback_target')).toEqual(quiet);
    expect(config('get', 'fallback_target').status).toBe(1);
  });

  it('sets nothing that is wrong', () => {
    const wrong = config('--json', 'set', 'final_action', 'sleep');
    expect(wrong.status).toBe(1);
    expect(JSON.parse(wrong.stdout)).toMatchObject({
      error: 'config-invalid',
      fix: '/etc/kdump.conf is as it was.',
    });
    expect(config('set', 'path')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('it has none'),
    });
    expect(config('set')).toMatchObject({ status: 1 });
    expect(config('set', 'target', 'x')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Kinds are raw'),
    });
    expect(readFileSync(conf, 'utf8')).toBe('# mine\npath /dumps\n');
  });

  it('describes everything', () => {
    const { directives, targets } = JSON.parse(config('schema', '--json').stdout);
    expect(directives).toContainEqual(
      expect.objectContaining({
        name: 'final_action',
        choices: ['reboot', 'halt', 'poweroff'],
        default: 'reboot',
      }),
    );
    expect(targets.map(({ name }: { name: string }) => name)).toContain('virtiofs');
    expect(config('schema').stdout).toContain('retain_age TIME\n');
  });
});
