import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleCommands } from '../helpers/bundle.ts';
import { writeVmcore } from '../helpers/vmcore.ts';

let directory: string;
let core: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'crash-cli-'));
  core = join(directory, 'core');
  await bundleCommands(['crash', 'vmcore-dmesg'], directory);
  // A kernel of which the dump has no symbols, no types and no log.
  writeVmcore(core, { pages: 64 });
});
afterAll(() => rmSync(directory, { recursive: true }));

function run(command: string, argv: readonly string[], input = '') {
  const program = join(directory, `${command}.mjs`);
  return spawnSync(process.execPath, [program, ...argv], { encoding: 'utf8', input, timeout: 30_000 });
}
const crash = (...argv: string[]) => run('crash', argv);

describe('crash', () => {
  test('usage and version', () => {
    expect(crash('-h').stdout).toContain('Usage: crash [OPTION]... [NAMELIST] [DUMP]...');
    expect(crash('-h', 'bt').stdout).toMatch(/^bt \[-a/);
    expect(crash('-v').stdout).toMatch(/^crash \(kdump-tools\)/);
    expect(crash('--what')).toMatchObject({ status: 1, stderr: expect.stringContaining("'--what'") });
  });

  test('what is no dump is refused in one sentence', () => {
    const text = join(directory, 'text');
    writeFileSync(text, 'nothing of the kind');
    const refused = crash(text);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^crash: .*text: no dump that is read/);
    expect(crash(join(directory, 'nowhere')).stderr).toContain('cannot be opened');
    expect(JSON.parse(crash('--json', text).stdout)).toMatchObject({ error: 'unknown-format' });
  });

  test('a kernel without symbols and types: a banner of what is known, and commands that say what they lack', () => {
    const banner = run('crash', [core], 'q\n');
    expect(banner.status).toBe(0);
    expect(banner.stdout).toContain(`DUMPFILE: ${core}`);
    const { status, stdout, stderr } = crash(core, '-c', 'bt; ps; mod; log; sym panic; set 1; help bt');
    expect(status).toBe(1);
    expect(stdout).toContain('NAME\n  bt - ');
    expect(stderr).toContain('bt: the tasks of this kernel cannot be found');
    expect(stderr).toContain('mod: no modules were loaded');
    expect(stderr).toContain('set: invalid task or pid value: 1');
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  test('one command that fails ends neither the session nor its other commands', () => {
    const { status, stdout, stderr } = run(
      'crash',
      ['-s', core],
      'nosuch\nwr jiffies 1\nps "\nhelp | head -3\nq\nset\n',
    );
    expect(status).toBe(0);
    expect(stderr).toContain('crash: command not found: nosuch');
    expect(stderr).toContain('wr: not allowed');
    expect(stderr).toContain('without its other half');
    expect(stdout).toMatch(/\balias\b/);
    expect(stdout).not.toContain('PID');
  });

  test('pipes, files for their owner alone, scripts, aliases', () => {
    const out = join(directory, 'out');
    const script = join(directory, 'script');
    writeFileSync(
      script,
      `alias helpless help\nhelpless bt > ${out}\nhelp ps >> ${out}\nhelp | grep -c sym\n`,
    );
    const { stdout, stderr } = run('crash', ['-s', '-i', script, core], 'q\n');
    expect(stderr).toBe('');
    expect(stdout).toBe('1\n');
    expect(readFileSync(out, 'utf8')).toMatch(/bt - [\s\S]*ps - /);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const nested = run('crash', ['-s', core], `< ${script}\n!echo done\n`);
    expect(nested.stdout).toBe('1\ndone\n');
    expect(run('crash', ['-s', core], `< ${script}.none\n`).stderr).toContain('ENOENT');
  });

  test('a script that runs itself comes to an end', () => {
    const script = join(directory, 'circle');
    writeFileSync(script, `< ${script}\n`);
    expect(run('crash', ['-s', core], `< ${script}\n`).stderr).toContain('scripts within scripts');
  });

  test('--json: a line for each command, errors among them', () => {
    const { stdout, status } = crash(core, '--json', '-c', 'sys; nosuch; help');
    const [sys, error, help] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(status).toBe(1);
    expect(sys).toMatchObject({ command: 'sys', result: { tasks: 0, dump: { paths: [core] } } });
    expect(error).toMatchObject({ command: 'nosuch', error: 'usage' });
    expect(help.result.map(({ name }: { name: string }) => name)).toContain('bt');
  });

  test('output that nobody reads to its end', () => {
    const lines = 'help all\n'.repeat(200);
    const program = join(directory, 'crash.mjs');
    const { status } = spawnSync(
      '/bin/sh',
      ['-c', `"${process.execPath}" "${program}" -s "${core}" | head -1`],
      { input: lines, timeout: 30_000 },
    );
    expect(status).toBe(0);
  });
});

describe('vmcore-dmesg', () => {
  test('exit codes of the original', () => {
    expect(run('vmcore-dmesg', [])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('usage: vmcore-dmesg'),
    });
    expect(run('vmcore-dmesg', [join(directory, 'nowhere')]).status).toBe(2);
    const text = join(directory, 'text');
    writeFileSync(text, 'nothing of the kind');
    expect(run('vmcore-dmesg', [text]).status).toBe(4);
    const lacking = run('vmcore-dmesg', [core]);
    expect(lacking.status).toBe(1);
    expect(lacking.stderr).toMatch(/^vmcore-dmesg: /);
    expect(existsSync(core)).toBe(true);
  });
});
