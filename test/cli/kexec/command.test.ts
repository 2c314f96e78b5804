import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CommandOf, parseKexec } from '../../../src/cli/kexec/command.ts';
import { kexecOptions } from '../../../src/cli/kexec/options.ts';
import { usage } from '../../../src/cli/kexec/usage.ts';
import { plainPlacing } from '../../../src/kexec/request.ts';
import { errorOf } from '../../kexec/fixtures.ts';

const parseLoad = (...argv: string[]): CommandOf<'load'> => {
  const command = parseKexec(argv);
  if (command.action !== 'load') throw new Error(`${command.action} is no load`);
  return command;
};
const requestOf = (...argv: string[]) => parseLoad('-p', 'vmlinuz', ...argv).wish.request;
const placingOf = (...argv: string[]) => requestOf(...argv).placing;
const syscallsOf = (...argv: string[]) => parseLoad('-p', 'vmlinuz', ...argv).wish.syscalls;

describe('what is to be done', () => {
  test.each([
    [['-h'], { action: 'help' }],
    [['-?'], { action: 'help' }],
    [['-v'], { action: 'version' }],
    [['--print-ckr-size'], { action: 'print-ckr-size' }],
    [['-S'], { action: 'status', type: 'crash' }],
    [['-S', '-l'], { action: 'status', type: 'normal' }],
    [['-S', '-l', '-p'], { action: 'status', type: 'crash' }],
    [['-u'], { action: 'unload', type: 'normal' }],
    [['-u', '-p'], { action: 'unload', type: 'crash' }],
    [['-p', '-u'], { action: 'unload', type: 'crash' }],
    [['-s', '-p', '-u', '-d'], { action: 'unload', type: 'crash' }],
    [['-e'], { action: 'exec', now: false, jump: { sync: true, interfaces: true } }],
    [['-e', '--now'], { action: 'exec', now: true }],
    [['-y', '-e', '-x'], { action: 'exec', jump: { sync: false, interfaces: false } }],
    [['-l', 'k'], { action: 'load', kernel: 'k', afterwards: 'nothing' }],
    [['k'], { action: 'load', afterwards: 'reboot', initrd: null, fileType: null }],
    [['k', '-f'], { action: 'load', afterwards: 'jump' }],
    [['-fxy', 'k'], { action: 'load', afterwards: 'jump', jump: { sync: false, interfaces: false } }],
    [['-l', '-e', '-f', 'k'], { action: 'load', afterwards: 'jump' }],
    [['-p', 'k'], { action: 'load', afterwards: 'nothing' }],
    [['--load-jump-back-helper', '--entry=0x1000'], { action: 'load-jump-back', entry: 4096 }],
    [['-l', '--load-jump-back-helper', '--entry', '010000'], { action: 'load-jump-back', entry: 4096 }],
    [['-l', 'k', '--initrd=i', '-t', 'bzImage'], { initrd: 'i', fileType: 'bzImage' }],
  ])('%j', (argv, command) => expect(parseKexec(argv)).toMatchObject(command));
  test('how', () => {
    expect(parseKexec(['-e']).manner).toEqual({
      root: '/',
      dryRun: false,
      json: false,
      debug: false,
      keepIn: null,
    });
    expect(parseKexec(['-u', '--dry-run', '--root=r', '--json', '-d', '--keep-in=k']).manner).toEqual({
      root: 'r',
      dryRun: true,
      json: true,
      debug: true,
      keepIn: 'k',
    });
  });
});

describe('what is asked of a load', () => {
  test('nothing but a kernel', () => {
    expect(parseLoad('-p', 'k').wish).toEqual({
      request: {
        type: 'crash',
        append: null,
        reuseCommandLine: false,
        debug: false,
        noCma: false,
        forceDtb: false,
        placing: plainPlacing,
      },
      syscalls: { choice: 'auto', placingOptions: [], fileOptions: [] },
    });
  });
  test.each([
    [['--append=a b'], { append: 'a b' }],
    [['--command-line=a', '--append=b'], { append: 'b' }],
    [['--append='], { append: '' }],
    [['--reuse-cmdline'], { reuseCommandLine: true }],
    [['-d'], { debug: true }],
    [['--no-cma'], { noCma: true }],
    [['--force-dtb'], { forceDtb: true }],
    [['--elf64-core-headers'], {}],
  ])('%j', (argv, request) => expect(requestOf(...argv)).toEqual({ ...requestOf(), ...request }));

  const console = plainPlacing.console;
  test.each([
    [['--mem-min=0x100000'], { memMin: 0x100000 }],
    [['--mem-max', '1048576'], { memMax: 1048576 }],
    [['--mem-max=0777'], { memMax: 0o777 }],
    [['-i'], { checks: false }],
    [['--no-checks'], { checks: false }],
    [['--entry=0x2000'], { entry: 0x2000 }],
    [['--noefi'], { efi: false }],
    [['--pass-memmap-cmdline'], { memmapOnCommandLine: true }],
    [['--reuse-video-type'], { reuseVideoType: true }],
    [['--reset-vga'], { console: { ...console, resetVga: true } }],
    [['--console-vga'], { console: { ...console, vga: true } }],
    [['--console-serial'], { console: { ...console, serial: true } }],
    [['--serial=ttyS1'], { console: { ...console, port: { port: 0x2f8, baud: null } } }],
    [['--serial=0x2e8'], { console: { ...console, port: { port: 0x2e8, baud: null } } }],
    [['--serial-baud=38400'], { console: { ...console, port: { port: 0x3f8, baud: 38400 } } }],
  ])('%j, which only kexec_load can honour', (argv, placing) => {
    expect(placingOf(...argv)).toEqual({ ...plainPlacing, ...placing });
    expect(syscallsOf(...argv).placingOptions).toHaveLength(1);
  });
  test.each([
    [['--hotplug'], { hotplug: true }],
    [['--args-linux'], { elfArguments: 'linux' }],
    [['--args-elf'], { elfArguments: 'elf' }],
    [['--args-linux', '--args-none'], { elfArguments: 'none' }],
  ])('%j, which does not choose the call', (argv, placing) => {
    expect(placingOf(...argv)).toEqual({ ...plainPlacing, ...placing });
    expect(syscallsOf(...argv).placingOptions).toEqual([]);
  });
  test('--load-preserve-context', () => {
    const { request, syscalls } = parseLoad('-l', 'k', '--load-preserve-context', '--mem-max=0x2000000').wish;
    expect(request.placing).toMatchObject({ preserveContext: true, memMax: 0x2000000 });
    expect(syscalls.placingOptions).toEqual(['--mem-max', '--load-preserve-context']);
  });
  test.each([
    [[], 'auto'],
    [['-a'], 'auto'],
    [['-s'], 'kexec_file_load'],
    [['-c'], 'kexec_load'],
    [['-s', '-c'], 'kexec_load'],
    [['-c', '-s'], 'kexec_file_load'],
    [['-s', '--kexec-syscall-auto'], 'auto'],
  ])('%j: %s', (argv, choice) => expect(syscallsOf(...argv).choice).toBe(choice));
  test('--force-dtb is for kexec_file_load', () =>
    expect(syscallsOf('--force-dtb')).toEqual({
      choice: 'auto',
      placingOptions: [],
      fileOptions: ['--force-dtb'],
    }));
});

test('the order of options means nothing', () => {
  const words = [
    '-p',
    '-d',
    '-c',
    '-i',
    '--append=a',
    '--initrd=i',
    '--hotplug',
    '--mem-min=4096',
    '--no-cma',
    'k',
  ];
  const expected = parseKexec(words);
  fc.assert(
    fc.property(fc.shuffledSubarray(words, { minLength: words.length }), (shuffled) => {
      expect(parseKexec(shuffled)).toEqual(expected);
    }),
  );
});

describe('refused', () => {
  test.each([
    [[], /No kernel specified/],
    [['-f'], /No kernel specified/],
    [['-p', 'a', 'b'], /one kernel is loaded, but .* b/],
    [['-S', 'k'], /-S takes no kernel/],
    [['-u', 'k'], /-u takes no kernel/],
    [['-e', 'k'], /-e takes no kernel/],
    [['-l', '-u'], /-l loads and -u unloads/],
    [['-e', '-u'], /-e jumps and -u unloads/],
    [['-l', '-e'], /-l loads and -e jumps/],
    [['-p', '-e'], /-p loads for a panic and -e jumps/],
    [['-p', '-f', 'k'], /-p loads for a panic and -f/],
    [['--now'], /--now belongs to -e/],
    [['-f', '--now', 'k'], /--now belongs to -e/],
    [['--load-jump-back-helper'], /needs --entry/],
    [['-s', '--load-jump-back-helper', '--entry=1'], /-s asks for kexec_file_load/],
    [['-l', 'k', '--load-preserve-context'], /needs --mem-max/],
    [['-p', 'k', '--load-preserve-context', '--mem-max=1'], /-p loads for a panic/],
    [['-l', 'k', '--mem-min=1M'], /Bad option value in --mem-min=1M/],
    [['-l', 'k', '--mem-max='], /Bad option value in --mem-max=/],
    [['-l', 'k', '--mem-max=-1'], /Bad option value/],
    [['-l', 'k', '--entry=0xfffffffffffffff0'], /Bad option value in --entry/],
    [['-l', 'k', '--serial=ttyAMA0'], /Bad serial port in --serial=ttyAMA0/],
    [['-l', 'k', '--serial=0x10000'], /Bad serial port/],
    [['-l', 'k', '--serial-baud=300'], /Bad rate/],
    [['-l', 'k', '--serial-baud=100000'], /Bad rate/],
    [['-l', 'k', '--root=r'], /--root stands in .* only with/],
    [['--lo', 'k'], /ambiguous/],
    [['--load-panic=1', 'k'], /doesn't allow an argument/],
  ])('%j', (argv, message) => {
    const error = errorOf(() => parseKexec(argv));
    expect(error).toMatchObject({ code: 'usage', exitCode: 1 });
    expect(error.message).toMatch(message);
  });
  test.each([
    ['--reuseinitrd', /--reuseinitrd is not supported: no kernel keeps its initrd/],
    ['--elf32-core-headers', /64-bit/],
    ['--real-mode', /64-bit mode only/],
    ['--entry-32bit', /64-bit mode only/],
    ['--module=m', /multiboot/],
    ['--dtb=d', /ACPI/],
    ['--load-live-update', /Xen/],
    ['--exec-live-update', /Xen/],
  ])('%s, with the reason', (option, message) => {
    const error = errorOf(() => parseKexec(['-l', 'k', option]));
    expect(error).toMatchObject({ code: 'unsupported-option', exitCode: 1 });
    expect(error.message).toMatch(message);
  });
});

describe('the help', () => {
  const named = kexecOptions.filter(({ refused, long }) => refused === undefined && long?.length !== 0);
  test.each(named.map(({ name }) => name).filter((name) => name !== 'elf64-core-headers'))(
    'has --%s',
    (name) => expect(usage).toMatch(new RegExp(`--${name}\\b(?!-)`)),
  );
  test('has no option that there is not', () => {
    const known = kexecOptions.flatMap(({ name, long }) => [name, ...(long ?? [])]);
    for (const [, name] of usage.matchAll(/--([a-z0-9-]+)/g)) expect(known).toContain(name);
  });
  test('fits a terminal', () => {
    for (const line of usage.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
  });
});

test('abbreviations that kexec-tools takes are not taken away by options of ours', () => {
  const forms = kexecOptions.flatMap(({ name, long }) => (long ?? [name]).map((form) => ({ name, form })));
  const ours = ['now', 'dry-run', 'root', 'keep-in', 'json'];
  const theirs = forms.filter(({ name }) => !ours.includes(name));
  for (const { form } of theirs)
    for (let length = 1; length < form.length; length++) {
      const begins = ({ form: other }: { form: string }) => other.startsWith(form.slice(0, length));
      const meant = new Set(theirs.filter(begins).map(({ name }) => name));
      if (meant.size === 1) expect(new Set(forms.filter(begins).map(({ name }) => name))).toEqual(meant);
    }
});
