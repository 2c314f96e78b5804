// The verbs of the service that look and do not touch, as users run them, on trees that stand in for machines.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bundleCommands } from '../helpers/bundle.ts';
import { fixtureRoot } from '../kexec/fixtures.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'kdumpctl-service-'));
const root = join(directory, 'root');

beforeAll(async () => {
  symlinkSync(join(project, 'node_modules'), join(directory, 'node_modules'));
  await bundleCommands(['kdumpctl'], directory);
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  cpSync(fixtureRoot('vm-512m'), root, { recursive: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function kdumpctl(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(directory, 'kdumpctl.mjs'), ...args, '--root', root],
    { encoding: 'utf8', timeout: 20_000 },
  );
  return { status, stdout, stderr };
}

describe('status', () => {
  test('says first whether kdump is operational', () => {
    const { status, stdout } = kdumpctl('status');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^kdump: Kdump is operational\n {2}\? {5}enabled: systemd does not run here\n/);
    expect(stdout).toMatch(
      / {2}\? {5}capture image: what is loaded was not loaded by kdumpctl\n {8}kdumpctl restart/,
    );
  });

  test('ends with 3 when it is not', () => {
    put('sys/kernel/kexec_crash_loaded', '0\n');
    put('sys/kernel/kexec_crash_size', '0\n');
    const { status, stdout } = kdumpctl('status');
    expect(status).toBe(3);
    expect(stdout).toMatch(/^kdump: Kdump is not operational\n/);
    expect(stdout).toMatch(/FAIL {2}reserved memory: No memory reserved for crash kernel/);
  });

  test('tells programs the same', () => {
    put('etc/kdump.conf', 'nonsense 1\n');
    const { status, stdout } = kdumpctl('status', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      operational: true,
      armed: null,
      untestedSince: null,
      lastCrash: null,
      items: expect.arrayContaining([
        { name: 'settings', state: 'fail', actual: '1 error', fix: 'kdumpctl config check' },
      ]),
    });
  });
});

test('showmem', () => {
  expect(kdumpctl('showmem')).toEqual({
    status: 0,
    stdout: 'kdump: Reserved 192MB memory for crash kernel\n',
    stderr: '',
  });
  put('sys/kernel/kexec_crash_size', '0\n');
  expect(kdumpctl('showmem')).toMatchObject({
    status: 0,
    stdout: 'kdump: Reserved 0MB memory for crash kernel\n',
    stderr: expect.stringMatching(/^kdump: No memory reserved for crash kernel\n/),
  });
  expect(JSON.parse(kdumpctl('showmem', '--json').stdout)).toMatchObject({ reserved: 0 });
});

test('get-default-crashkernel', () => {
  expect(kdumpctl('get-default-crashkernel')).toEqual({
    status: 0,
    stdout: '2G-64G:256M,64G-:512M',
    stderr: '',
  });
  expect(kdumpctl('get-default-crashkernel', 'fadump')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('firmware-assisted dump is not supported'),
  });
});

describe('reset-crashkernel', () => {
  const entry = 'title x\nlinux /vmlinuz-9\noptions root=1 crashkernel=1M\n';
  test('shows what it would do', () => {
    put('boot/loader/entries/x.conf', entry);
    const { status, stdout, stderr } = kdumpctl('reset-crashkernel', '--dry-run', '--kernel=/boot/vmlinuz-9');
    expect(status).toBe(0);
    expect(stdout).toContain(
      '-options root=1 crashkernel=1M\n+options root=1 crashkernel=2G-64G:256M,64G-:512M\n',
    );
    expect(stderr).toMatch(/No memory will be reserved: 512 MiB of memory are less/);
  });

  test('never changes another root', () => {
    put('boot/loader/entries/x.conf', entry);
    expect(kdumpctl('reset-crashkernel', '--kernel=ALL')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--root stands in for this machine only with --dry-run'),
    });
  });

  test('says what it knows nothing of', () => {
    expect(kdumpctl('reset-crashkernel', '-n', '--fadump=on')).toMatchObject({ status: 1 });
    const unknown = kdumpctl('reset-crashkernel', '-n', '--kernel=ALL', '--json');
    expect(unknown.status).toBe(1);
    expect(JSON.parse(unknown.stdout)).toMatchObject({ error: 'boot-loader' });
  });
});

test('verbs for packages are there, and are shown to nobody', () => {
  // --root is what they do not know: nothing of this machine is touched.
  const names = ['_reset-crashkernel-after-update', '_reset-crashkernel-for-installed_kernel'];
  expect(kdumpctl(names[0]!)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('Unknown argument: root'),
  });
  expect(kdumpctl(names[1]!, '6.1')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('Unknown argument: root'),
  });
  expect(kdumpctl(names[1]!).stderr).toMatch(/Not enough non-option arguments/);
  expect(kdumpctl('--help').stdout).not.toMatch(/ _/);
});
