import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleCommands } from '../../helpers/bundle.ts';

let directory: string;
let crash: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kdumpctl-dumps-'));
  await bundleCommands(['kdumpctl'], directory);
  symlinkSync(resolve('node_modules'), join(directory, 'node_modules'));
  crash = join(directory, 'root/var/crash');
  mkdirSync(join(directory, 'root/etc'), { recursive: true });
  writeFileSync(join(directory, 'root/etc/kdump.conf'), 'fallback_target ssh kdump@vault\n');
  dump('box-2026-01-01-00:00:00', { state: 'incomplete', panic: 'Oops: 1' });
  dump('box-2026-01-02-00:00:00', { state: 'complete', panic: 'BUG: two' });
});
afterAll(() => rmSync(directory, { recursive: true }));

function dump(name: string, part: object): void {
  mkdirSync(join(crash, name), { recursive: true });
  const crashTime = `${name.slice(4, 14)}T00:00:00Z`;
  writeFileSync(
    join(crash, name, 'dump.json'),
    JSON.stringify({ format: 1, host: 'box', crashTime, ...part }),
  );
  writeFileSync(join(crash, name, 'vmcore'), 'x');
  writeFileSync(join(crash, name, 'vmcore-dmesg.txt'), 'one\ntwo\nthree\n');
}

function kdumpctl(...args: string[]) {
  const root = ['--root', join(directory, 'root')];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(directory, 'kdumpctl.mjs'), ...args, ...root],
    {
      encoding: 'utf8',
    },
  );
  return { status, stdout, stderr };
}

describe('kdumpctl list', () => {
  it('lists, and says what cannot be seen from here', () => {
    const { status, stdout, stderr } = kdumpctl('list');
    expect(status).toBe(0);
    expect(stdout.split('\n')).toMatchObject([
      expect.stringMatching(/^TIME/),
      expect.stringMatching(/incomplete .* Oops: 1$/),
      expect.stringMatching(/complete .* BUG: two$/),
      '',
    ]);
    expect(stderr).toBe(
      'kdump: "ssh kdump@vault" was not looked into: its dumps are in /var/crash on vault\n',
    );
    expect(JSON.parse(kdumpctl('list', '--json').stdout)).toMatchObject({
      dumps: [{ panic: 'Oops: 1' }, {}],
      unseen: [{}],
    });
    expect(kdumpctl('list', '-d', directory).stdout).toBe('There are no dumps.\n');
  });

  it('finds what the machine has saved as it was armed, whatever has become of the settings', () => {
    const state = join(directory, 'root/var/lib/kdump/state.json');
    const armed = {
      ...{ setup: 'x', kernel: { path: '/k' }, image: { path: '/i' }, commandLine: '', kexecArgs: [] },
      ...{ inputs: [], saves: { targets: [{ kind: 'directory', path: '/dumps' }], path: '/dumps' } },
    };
    mkdirSync(dirname(state), { recursive: true });
    writeFileSync(state, JSON.stringify({ format: 1, armed, targets: [] }));
    const saved = join(directory, 'root/dumps/box-2026-01-03-00:00:00');
    mkdirSync(saved, { recursive: true });
    writeFileSync(join(saved, 'vmcore-incomplete'), 'x');
    const { dumps } = JSON.parse(kdumpctl('list', '--json').stdout);
    expect(dumps).toMatchObject([{}, {}, { directory: saved, state: 'incomplete' }]);
    rmSync(join(directory, 'root/dumps'), { recursive: true });
    rmSync(state);
  });
});

describe('kdumpctl show', () => {
  it('shows the newest, one by name, one by path', () => {
    expect(kdumpctl('show').stdout).toMatch(
      /^State: +complete\nWhat happened: +BUG: two\n[\s\S]*End of vmcore-dmesg.txt:\n {2}one\n {2}two\n/,
    );
    expect(kdumpctl('show', 'box-2026-01-01', '-n', '1').stdout).toMatch(
      /Oops: 1[\s\S]*End of vmcore-dmesg.txt:\n {2}three\n$/,
    );
    const { stdout } = kdumpctl('show', join(crash, 'box-2026-01-01-00:00:00'), '--json');
    expect(JSON.parse(stdout)).toMatchObject({ state: 'incomplete', log: ['one', 'two', 'three'] });
  });

  it('says when there is none, or more than one', () => {
    expect(kdumpctl('show', 'other')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/no dump named other\n.*vault/),
    });
    expect(kdumpctl('show', 'box')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('stands for 2 dumps'),
    });
    expect(kdumpctl('show', directory)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('holds no dump'),
    });
  });
});

describe('kdumpctl notify', () => {
  const program = () => join(directory, 'tell');
  it('tells once, and tries again what failed', () => {
    writeFileSync(program(), `#!/bin/sh\nexit 1\n`, { mode: 0o700 });
    writeFileSync(join(directory, 'root/etc/kdump.conf'), `notify boot exec ${program()}\n`);
    const state = ['--state', join(directory, 'state')];
    // Both are old, and nothing is recorded: no news.
    expect(kdumpctl('notify', ...state)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(JSON.parse(readFileSync(join(directory, 'state/notified.json'), 'utf8'))).toEqual([]);
    rmSync(join(crash, 'box-2026-01-01-00:00:00'), { recursive: true });
    const json = join(crash, 'box-2026-01-02-00:00:00/dump.json');
    writeFileSync(json, readFileSync(json, 'utf8').replace('"box"', JSON.stringify(hostname())));
    expect(kdumpctl('notify', ...state)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('status 1'),
    });
    writeFileSync(program(), `#!/bin/sh\ncat > ${directory}/told\n`);
    expect(kdumpctl('notify', '--dry-run', ...state).stdout).toContain('box-2026-01-02');
    expect(kdumpctl('notify', ...state)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('exec'),
    });
    expect(JSON.parse(readFileSync(join(directory, 'told'), 'utf8'))).toMatchObject({
      event: 'dump',
      panic: 'BUG: two',
    });
    expect(kdumpctl('notify', ...state)).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('kdumpctl target test', () => {
  it('tries the targets, and remembers', () => {
    writeFileSync(join(directory, 'root/etc/kdump.conf'), `path ${directory}/dumps\n`);
    const state = ['--state', join(directory, 'state')];
    const { status, stdout } = kdumpctl('target', 'test', ...state);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^directory ${directory}/dumps: works\n`));
    expect(JSON.parse(readFileSync(join(directory, 'state/state.json'), 'utf8'))).toMatchObject({
      targets: [{ target: `directory ${directory}/dumps`, reachable: true, detail: null }],
    });
    writeFileSync(join(directory, 'dumps'), '');
    expect(kdumpctl('target', 'test', '--json', ...state)).toMatchObject({ status: 1 });
    expect(kdumpctl('target')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('test is needed'),
    });
  });
});

it('kdumpctl rehearse wants something to rehearse', () => {
  const rehearsed = kdumpctl('rehearse', '--state', join(directory, 'none'));
  expect(rehearsed).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('not armed by kdumpctl yet'),
  });
});
