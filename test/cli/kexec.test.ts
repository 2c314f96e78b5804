import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleCommands } from '../helpers/bundle.ts';
import { fixtureRoot } from '../kexec/fixtures.ts';
import { syntheticHead, syntheticSize } from '../kexec/synthetic-kernel.ts';

/**
 * The command as users run it: one file, which lies where koffi cannot be found. What works here works without
 * native code, so nothing here can have made a system call of kexec's.
 */
let dir: string;
const file = (name: string) => join(dir, name);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kexec-cli-'));
  await bundleCommands(['kexec'], dir);
  writeFileSync(file('vmlinuz'), syntheticHead());
  truncateSync(file('vmlinuz'), syntheticSize);
  writeFileSync(file('initrd'), 'x'.repeat(3_000_000));
  writeFileSync(file('empty'), '');
  writeFileSync(file('text'), 'hello\n'.repeat(1000));
  writeFileSync(file('huge'), '');
  truncateSync(file('huge'), 300 << 20);
});
afterAll(() => rmSync(dir, { recursive: true }));

function kexec(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file('kexec.mjs'), ...argv], {
    cwd: dir,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}
const vm = `--root=${fixtureRoot('vm-512m')}`;
const server = `--root=${fixtureRoot('server-24g')}`;
const planOf = (...argv: string[]) => {
  const { status, stdout, stderr } = kexec('--dry-run', vm, ...argv);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
};

/** A copy of a machine with one file changed. */
function variant(name: string, path: string, text: string): string {
  const root = file(`${name}-${path.replaceAll('/', '-')}`);
  cpSync(fixtureRoot(name), root, { recursive: true });
  writeFileSync(join(root, path), text);
  return `--root=${root}`;
}

describe('help and version', () => {
  test.each(['-h', '--help', '-?', '--he'])('%s', (option) => {
    const { status, stdout, stderr } = kexec(option);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Usage: kexec/);
  });
  test('-v', () => expect(kexec('-v')).toMatchObject({ status: 0, stdout: 'kexec (kdump-tools) 0.1.0\n' }));
});

describe('--status keeps the quirk: 1 is loaded', () => {
  test.each([
    [['-S', vm], 1],
    [['--status', '-p', vm], 1],
    [['-S', '-l', vm], 0],
    [['-lS', vm], 0],
    [['-Sd', server], 0],
    [['-S', '-d', server], 0],
  ])('%j: %d', (argv, status) => {
    expect(kexec(...argv)).toMatchObject({ status, stdout: '' });
  });
  test('255 when the kernel does not say', () => {
    expect(kexec('-S', `--root=${dir}`)).toMatchObject({ status: 255, stdout: '' });
  });
  test('as JSON', () => {
    const { status, stdout } = kexec('-S', '--json', vm);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      type: 'crash',
      loaded: true,
      crashLoaded: true,
      normalLoaded: false,
      crashSize: 201326592,
    });
  });
  test('in words with -d', () => expect(kexec('-Sd', vm).stderr).toMatch(/the machine is armed/));
});

describe('--dry-run prints the plan', () => {
  test('whole', () => {
    const plan = planOf('-p', 'vmlinuz', '--initrd=initrd', '--append=nr_cpus=1', '--reuse-cmdline');
    expect(plan).toMatchObject({
      action: 'load',
      type: 'crash',
      syscall: 'kexec_file_load',
      flags: ['KEXEC_FILE_ON_CRASH'],
      kernel: { path: 'vmlinuz', size: syntheticSize, init_size: 0x3378000 },
      initrd: { path: 'initrd', size: 3_000_000 },
      commandLine: 'root=/dev/vda1 ro console=ttyS0 panic=-1 xcrashkernel=keep quiet nr_cpus=1',
      memory: { reserved: { start: '0x13000000', end: '0x1effffff', size: 201326592 } },
      replaces: true,
      blockers: [],
    });
  });
  test('in any order of options, bundled, abbreviated and by their synonyms', () => {
    const expected = planOf('-p', '-s', '-d', 'vmlinuz', '--initrd=initrd', '--append=a b');
    for (const argv of [
      ['-d', '-p', '-s', '--append=a b', '--initrd', 'initrd', 'vmlinuz'],
      ['vmlinuz', '-dsp', '--command-line=a b', '--ramdisk=initrd'],
      ['--init=initrd', '--load-panic', 'vmlinuz', '--kexec-file-syscall', '--deb', '--app', 'a b'],
      ['-spd', '--append=wrong', '--append=a b', '--initrd=wrong', '--initrd=initrd', '--', 'vmlinuz'],
      ['-l', '-p', '-d', 'vmlinuz', '--append=a b', '--initrd=initrd'],
    ])
      expect(planOf(...argv)).toEqual(expected);
  });
  test('for -u -p and -p -u alike', () => {
    const expected = planOf('-p', '-u');
    expect(expected).toMatchObject({ action: 'unload', type: 'crash', flagBits: 3 });
    expect(planOf('-u', '-p')).toEqual(expected);
    expect(planOf('-up')).toEqual(expected);
    expect(planOf('-u')).toMatchObject({ type: 'normal', flagBits: 1 });
  });
  test('without an initrd and for a normal load', () => {
    expect(planOf('-l', 'vmlinuz').flags).toEqual(['KEXEC_FILE_NO_INITRAMFS']);
  });
  test('and fails after it when it may not be carried out', () => {
    const root = variant('vm-512m', 'proc/self/status', 'CapEff:\t0000000000000000\n');
    const { status, stdout, stderr } = kexec('--dry-run', root, '-p', 'vmlinuz');
    expect(status).toBe(255);
    expect(JSON.parse(stdout).blockers).toMatchObject([{ error: 'no-permission' }]);
    expect(stderr).toMatch(/CAP_SYS_BOOT/);
  });
});

describe('refuses before anything is touched', () => {
  test.each([
    ['no crashkernel memory', ['-p', 'vmlinuz', server], 1, /no memory is reserved for a crash kernel/],
    ['a missing kernel', ['-p', 'none', vm], 255, /kernel none: no such file/],
    ['an empty kernel', ['-p', 'empty', vm], 255, /kernel empty: is empty/],
    ['a directory', ['-p', '.', vm], 255, /kernel \.: is a directory/],
    ['no kernel', ['-l', 'text', vm], 255, /text: not an x86 kernel/],
    ['a missing initrd', ['-p', 'vmlinuz', '--initrd=none', vm], 255, /initrd none: no such file/],
    ['an empty initrd', ['-p', 'vmlinuz', '--initrd=empty', vm], 255, /initrd empty: is empty/],
    ['a directory as initrd', ['-p', 'vmlinuz', '--initrd=.', vm], 255, /initrd \.: is a directory/],
    ['too large an image', ['-p', 'vmlinuz', '--initrd=huge', vm], 255, /reserved 192 MiB/],
    ['too long a command line', ['-p', 'vmlinuz', `--append=${'x'.repeat(2100)}`, vm], 255, /2100 bytes/],
    ['a root that is not there', ['-p', 'vmlinuz', '--root=nowhere'], 1, /nowhere: no such directory/],
  ])('%s', (_, argv, status, message) => {
    const result = kexec('--dry-run', ...argv);
    expect(result).toMatchObject({ status, stdout: '' });
    expect(result.stderr).toMatch(message);
    expect(result.stderr).toMatch(/^kexec: /);
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });
  test('kexec_load_disabled', () => {
    const root = variant('vm-512m', 'proc/sys/kernel/kexec_load_disabled', '1\n');
    const { status, stderr } = kexec('--dry-run', root, '-p', '-u');
    expect(status).toBe(255);
    expect(stderr).toMatch(/kexec_load_disabled is 1/);
  });
  test('also without --dry-run, in JSON if that is wanted', () => {
    const { status, stdout, stderr } = kexec('-l', 'text', '--json');
    expect([status, stdout]).toEqual([255, '']);
    expect(JSON.parse(stderr)).toMatchObject({ error: 'not-a-kernel', facts: { path: 'text' } });
  });
});

test('a warning is a line of its own, in JSON if that is wanted', () => {
  const root = variant('vm-512m', 'sys/kernel/security/lockdown', 'none [integrity] confidentiality\n');
  const text = kexec('--dry-run', root, '-p', 'vmlinuz');
  expect(text.status).toBe(0);
  expect(text.stderr).toMatch(/^kexec: warning: the kernel is locked down \(integrity\).*\n$/);
  expect(JSON.parse(kexec('--dry-run', root, '-p', 'vmlinuz', '--json').stderr).warning).toMatch(
    /locked down/,
  );
});

describe('wrong usage exits with 1', () => {
  test.each([
    [['--frobnicate'], /unrecognized option '--frobnicate'/],
    [['-lz', 'vmlinuz'], /invalid option -- 'z'/],
    [['--lo', 'vmlinuz'], /ambiguous.*'--load'/],
    [['-p', '--append'], /option '--append' requires an argument/],
    [['-p=1', 'vmlinuz'], /invalid option -- '='/],
    [['--load-panic=1', 'vmlinuz'], /doesn't allow an argument/],
    [['-p'], /no kernel specified/],
    [[], /no kernel specified/],
    [['vmlinuz'], /loading and rebooting in one step is not supported/],
    [['-p', 'vmlinuz', 'initrd'], /one kernel is loaded, but .* initrd/],
    [['-l', '-u'], /-l loads and -u unloads/],
    [['-u', 'vmlinuz'], /-u takes no kernel/],
    [['-S', 'vmlinuz'], /-S takes no kernel/],
    [['-p', 'vmlinuz', '--root=x'], /--root .* only with --dry-run or -S/],
  ])('%j', (argv, message) => {
    const result = kexec(...argv);
    expect(result).toMatchObject({ status: 1, stdout: '' });
    expect(result.stderr).toMatch(message);
    expect(result.stderr).toMatch(/kexec --help/);
  });
  test.each([
    [['-e'], /--exec is not supported: load with -l, then let `systemctl kexec`/],
    [['-f', 'vmlinuz'], /--force is not supported/],
    [['-c', '-p', 'vmlinuz'], /--kexec-syscall is not supported: kernels are loaded by kexec_file_load/],
    [['-ap', 'vmlinuz'], /--kexec-syscall-auto is not supported/],
    [['-t', 'bzImage64', '-l', 'vmlinuz'], /--type is not supported: the kernel is a bzImage/],
    [['--mem-min=1M', '-l', 'vmlinuz'], /--mem-min is not supported/],
    [['--dtb', 'x', '-l', 'vmlinuz'], /--dtb is not supported/],
    [['--print-ckr-size'], /--print-ckr-size is not supported: .*kexec_crash_size/],
    [['--load-preserve-context', 'vmlinuz'], /not supported/],
  ])('known to kexec-tools, not to us: %j', (argv, message) => {
    const result = kexec(...argv);
    expect(result).toMatchObject({ status: 1, stdout: '' });
    expect(result.stderr).toMatch(message);
  });
  test('in JSON if that is wanted', () => {
    expect(JSON.parse(kexec('--json', '--frobnicate').stderr)).toMatchObject({ error: 'usage' });
    expect(JSON.parse(kexec('-e', '--json').stderr)).toMatchObject({
      error: 'unsupported-option',
      facts: { option: 'exec' },
    });
  });
});
