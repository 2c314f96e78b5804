import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
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
  test('as JSON, whose exit codes are those of a service', () => {
    const { status, stdout } = kexec('-S', '--json', vm);
    expect(status).toBe(0);
    expect(kexec('-S', '-l', '--json', vm).status).toBe(3);
    expect(kexec('-S', '--json', `--root=${dir}`).status).toBe(255);
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
      first: { syscall: 'kexec_file_load', flags: ['KEXEC_FILE_ON_CRASH'] },
      kernel: { path: 'vmlinuz', size: syntheticSize, bzImage: { init_size: 0x3378000 } },
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
      ['-l', '-p', '-s', '-d', 'vmlinuz', '--append=a b', '--initrd=initrd'],
    ])
      expect(planOf(...argv)).toEqual(expected);
  });
  test('for -u -p and -p -u alike', () => {
    const expected = planOf('-p', '-u');
    expect(expected).toMatchObject({ action: 'unload', type: 'crash', first: { flagBits: 3 } });
    expect(planOf('-u', '-p')).toEqual(expected);
    expect(planOf('-up')).toEqual(expected);
    expect(planOf('-u')).toMatchObject({ type: 'normal', first: { flagBits: 1 } });
  });
  test('without an initrd and for a normal load', () => {
    expect(planOf('-l', 'vmlinuz').first.flags).toEqual(['KEXEC_FILE_NO_INITRAMFS']);
  });
  test('and fails after it when it may not be carried out', () => {
    const root = variant('vm-512m', 'proc/self/status', 'CapEff:\t0000000000000000\n');
    const { status, stdout, stderr } = kexec('--dry-run', root, '-p', 'vmlinuz');
    expect(status).toBe(255);
    expect(JSON.parse(stdout).blockers).toMatchObject([{ error: 'no-permission' }]);
    expect(stderr).toMatch(/CAP_SYS_BOOT/);
  });
});

describe('--dry-run on a machine that says where its memory is', () => {
  const lab = (name: string) => `--root=${fixtureRoot(name)}`;
  const dryRun = (...argv: string[]) => {
    const { status, stdout, stderr } = kexec('--dry-run', ...argv);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return JSON.parse(stdout);
  };
  test('has the fallback with its segments', () => {
    const { first, fallback, noFallback } = dryRun(
      lab('lab-1g'),
      '-p',
      'vmlinuz',
      '--initrd=initrd',
      '--append=a',
    );
    expect(first).toEqual({
      syscall: 'kexec_file_load',
      flags: ['KEXEC_FILE_ON_CRASH'],
      flagBits: 2,
      commandLine: 'a',
    });
    expect(noFallback).toBeNull();
    expect(fallback).toMatchObject({ syscall: 'kexec_load', flagBits: 0x3e0001 });
    expect(fallback.commandLine).toMatch(/^a .*\belfcorehdr=\d+K$/);
    expect(fallback.segments.map(({ name }: { name: string }) => name).sort()).toEqual(
      ['backup', 'boot_params', 'elfcorehdr', 'initrd', 'kernel', 'purgatory'].sort(),
    );
    for (const segment of fallback.segments)
      expect(segment).toEqual({
        name: expect.any(String),
        mem: expect.stringMatching(/^0x[0-9a-f]+000$/),
        memsz: expect.stringMatching(/^0x[0-9a-f]+000$/),
        bytes: expect.any(Number),
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        verified: expect.any(Boolean),
      });
  });
  test('is the same each time', () => {
    const argv = [lab('lab-6g-high'), '-p', 'vmlinuz', '--initrd=initrd'];
    expect(dryRun(...argv)).toEqual(dryRun(...argv));
  });
  test('places where it may, and says that nothing else is tried', () => {
    const { first, fallback, noFallback } = dryRun(
      lab('vm-16g'),
      '-l',
      'vmlinuz',
      '--mem-max=0x3fffffff',
      '-i',
    );
    expect(first).toMatchObject({ syscall: 'kexec_load', flagBits: 0x3e0000, digest: null });
    for (const { mem, memsz } of first.segments)
      expect(Number(mem) + Number(memsz)).toBeLessThanOrEqual(0x40000000);
    expect([fallback, noFallback]).toEqual([null, 'only kexec_load knows --mem-max, --no-checks']);
  });
});

describe('--dry-run of what is never done here', () => {
  test('-e', () => {
    expect(planOf('-e')).toEqual({
      action: 'exec',
      by: 'reboot(2)',
      loaded: false,
      sync: true,
      interfaces: [],
    });
    expect(planOf('-e', '-y', '--now')).toMatchObject({ by: 'reboot(2)', sync: false });
    const root = file('with-systemd');
    cpSync(fixtureRoot('vm-512m'), root, { recursive: true });
    mkdirSync(join(root, 'run/systemd/system'), { recursive: true });
    mkdirSync(join(root, 'proc/1'));
    const planned = () => JSON.parse(kexec('--dry-run', '-e', `--root=${root}`).stdout);
    // In the last stage of a shutdown, systemd-shutdown calls kexec itself.
    writeFileSync(join(root, 'proc/1/comm'), 'systemd-shutdow\n');
    expect(planned().by).toBe('reboot(2)');
    writeFileSync(join(root, 'proc/1/comm'), 'systemd\n');
    expect(planned()).toMatchObject({ by: 'systemctl kexec', sync: null, interfaces: [] });
  });
  test('a load and what follows it', () => {
    expect(planOf('vmlinuz').afterwards).toBe('reboot');
    expect(planOf('-f', 'vmlinuz').afterwards).toBe('jump');
    expect(planOf('-l', 'vmlinuz').afterwards).toBe('nothing');
  });
  test('--load-jump-back-helper', () => {
    expect(planOf('--load-jump-back-helper', '--entry=0x2000')).toMatchObject({
      action: 'load-jump-back',
      first: { syscall: 'kexec_load', entry: '0x2000', flagBits: 0x3e0002 },
    });
  });
});

test('--print-ckr-size', () => {
  expect(kexec('--print-ckr-size', vm)).toMatchObject({ status: 0, stdout: '201326592\n' });
  expect(kexec('--print-ckr-size', server)).toMatchObject({ status: 0, stdout: '0\n' });
});

describe('--type', () => {
  test.each(['bzImage', 'bzImage64'])('%s is what the file is', (type) => {
    expect(planOf('-p', 'vmlinuz', '-t', type).kernel.kind).toBe('bzImage');
  });
  test.each([
    ['uki', /wrong file type uki, vmlinuz is bzImage64/],
    ['elf-x86_64', /wrong file type elf-x86_64, vmlinuz is bzImage64/],
    ['multiboot-x86', /file type multiboot-x86 is not supported/],
    ['toString', /file type toString is not supported/],
  ])('%s is not', (type, message) => {
    const { status, stderr } = kexec('--dry-run', vm, '-p', 'vmlinuz', `--type=${type}`);
    expect(status).toBe(255);
    expect(stderr).toMatch(message);
  });
});

describe('refuses before anything is touched', () => {
  test.each([
    [
      'no crashkernel memory',
      ['-p', 'vmlinuz', server],
      1,
      /Memory for crashkernel is not reserved: crashkernel= is not on/,
    ],
    ['a missing kernel', ['-p', 'none', vm], 255, /kernel none: no such file/],
    ['an empty kernel', ['-p', 'empty', vm], 255, /kernel empty: is empty/],
    ['a directory', ['-p', '.', vm], 255, /kernel \.: is a directory/],
    ['no kernel', ['-l', 'text', vm], 255, /Cannot determine the file type of text: not an x86 kernel/],
    ['a missing initrd', ['-p', 'vmlinuz', '--initrd=none', vm], 255, /initrd none: no such file/],
    ['an empty initrd', ['-p', 'vmlinuz', '--initrd=empty', vm], 255, /initrd empty: is empty/],
    ['a directory as initrd', ['-p', 'vmlinuz', '--initrd=.', vm], 255, /initrd \.: is a directory/],
    ['too large an image', ['-p', 'vmlinuz', '--initrd=huge', vm], 255, /reserved 192 MiB/],
    [
      '-s for what only kexec_load knows',
      ['-s', '-i', '-p', 'vmlinuz', vm],
      1,
      /only kexec_load knows --no-checks/,
    ],
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
    [['-p', '--append'], /option '--append' requires an argument/],
    [['-p'], /No kernel specified/],
    [['-l', '-u'], /-l loads and -u unloads/],
    [
      ['-l', 'vmlinuz', '--real-mode'],
      /--real-mode is not supported: kernels are entered in 64-bit mode only/,
    ],
  ])('%j', (argv, message) => {
    const result = kexec(...argv);
    expect(result).toMatchObject({ status: 1, stdout: '' });
    expect(result.stderr).toMatch(message);
    expect(result.stderr).toMatch(/kexec --help/);
  });
  test('in JSON if that is wanted', () => {
    expect(JSON.parse(kexec('--json', '--frobnicate').stderr)).toMatchObject({ error: 'usage' });
    expect(JSON.parse(kexec('--dtb=x', '-l', 'k', '--json').stderr)).toMatchObject({
      error: 'unsupported-option',
      facts: { option: 'dtb' },
    });
  });
});
