import type { JumpOptions } from '../../kexec/exec.ts';
import type { LoadWish } from '../../kexec/plan.ts';
import { type ElfArguments, type PlacingRequest, plainPlacing } from '../../kexec/request.ts';
import type { ImageType } from '../../kexec/uapi.ts';
import { KdumpError } from '../../lib/errors.ts';
import { getopt, hasOption, lastValue, type ParsedArguments } from '../../lib/getopt.ts';
import { kexecOptions } from './options.ts';
import { parseAddress, parseSerial, wrongUsage } from './values.ts';

/** How the command goes about its work. */
export type Manner = {
  readonly root: string;
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly debug: boolean;
  /** --keep-in, or null. */
  readonly keepIn: string | null;
};

/** What is done once a kernel is loaded: nothing, a reboot into it, or a jump at once. */
export type Afterwards = 'nothing' | 'reboot' | 'jump';

/** What a command line asks for, in whatever order its options came. */
export type KexecCommand = { readonly manner: Manner } & (
  | { readonly action: 'help' | 'version' | 'print-ckr-size' }
  | { readonly action: 'status'; readonly type: ImageType }
  | { readonly action: 'unload'; readonly type: ImageType }
  | {
      readonly action: 'load';
      readonly kernel: string;
      readonly initrd: string | null;
      /** --type, or null. */
      readonly fileType: string | null;
      readonly wish: LoadWish;
      readonly afterwards: Afterwards;
      readonly jump: JumpOptions;
    }
  | { readonly action: 'load-jump-back'; readonly entry: number }
  | { readonly action: 'exec'; readonly now: boolean; readonly jump: JumpOptions }
);

export type CommandOf<A extends KexecCommand['action']> = Extract<KexecCommand, { action: A }>;

/**
 * @param argv without the interpreter and script
 * @throws KdumpError `usage` or `unsupported-option`
 */
export function parseKexec(argv: readonly string[]): KexecCommand {
  const parsed = parseOptions(argv);
  const has = (name: string) => hasOption(parsed, name);
  const manner: Manner = {
    root: lastValue(parsed, 'root') ?? '/',
    dryRun: has('dry-run'),
    json: has('json'),
    debug: has('debug'),
    keepIn: lastValue(parsed, 'keep-in') ?? null,
  };
  if (has('help')) return { action: 'help', manner };
  if (has('version')) return { action: 'version', manner };
  if (has('root') && !manner.dryRun && !has('status') && !has('print-ckr-size'))
    throw wrongUsage('--root stands in for this machine only with --dry-run, -S or --print-ckr-size');
  if (has('print-ckr-size')) return { action: 'print-ckr-size', manner };

  const type: ImageType = has('load-panic') ? 'crash' : 'normal';
  const jump: JumpOptions = { sync: !has('no-sync'), interfaces: !has('no-ifdown') };
  if (has('status')) {
    refuseKernel(parsed, '-S');
    // A crash kernel is what is asked about most, and what -S alone means; only -l asks about the other one.
    return { action: 'status', type: has('load') ? type : 'crash', manner };
  }
  if (has('now') && !has('exec')) throw wrongUsage('--now belongs to -e');
  if (has('unload')) {
    refuseKernel(parsed, '-u');
    refuseTogether(parsed, 'unload', ['load', 'exec', 'force', 'load-jump-back-helper']);
    return { action: 'unload', type, manner };
  }
  if (has('load-jump-back-helper')) {
    refuseKernel(parsed, '--load-jump-back-helper');
    refuseTogether(parsed, 'load-jump-back-helper', ['load-panic', 'exec', 'force', 'kexec-file-syscall']);
    const entry = lastValue(parsed, 'entry');
    if (entry === undefined) throw wrongUsage('--load-jump-back-helper needs --entry=ADDRESS');
    return { action: 'load-jump-back', entry: parseAddress('entry', entry), manner };
  }
  if (has('exec') && !has('force')) {
    refuseKernel(parsed, '-e');
    refuseTogether(parsed, 'exec', ['load', 'load-panic']);
    return { action: 'exec', now: has('now'), jump, manner };
  }
  return loadCommand(parsed, type, jump, manner);
}

function parseOptions(argv: readonly string[]): ParsedArguments {
  let parsed: ParsedArguments;
  try {
    parsed = getopt(argv, kexecOptions);
  } catch (error) {
    throw error instanceof KdumpError ? wrongUsage(error.message) : error;
  }
  for (const { name } of parsed.options) {
    const refused = kexecOptions.find((option) => option.name === name)?.refused;
    if (refused !== undefined)
      throw new KdumpError('unsupported-option', `--${name} is not supported: ${refused}`, {
        fix: 'See `kexec --help`.',
        facts: { option: name },
      });
  }
  return parsed;
}

function loadCommand(
  parsed: ParsedArguments,
  type: ImageType,
  jump: JumpOptions,
  manner: Manner,
): CommandOf<'load'> {
  const has = (name: string) => hasOption(parsed, name);
  if (has('force')) refuseTogether(parsed, 'force', ['load-panic']);
  const [kernel, ...more] = parsed.positionals;
  if (kernel === undefined) throw wrongUsage('No kernel specified');
  if (more.length > 0) throw wrongUsage(`one kernel is loaded, but these were given, too: ${more.join(' ')}`);
  if (has('load-preserve-context')) {
    refuseTogether(parsed, 'load-preserve-context', ['load-panic']);
    if (!has('mem-max'))
      throw wrongUsage('--load-preserve-context needs --mem-max: memory above it is what is kept');
  }
  return {
    action: 'load',
    kernel,
    initrd: lastValue(parsed, 'initrd') ?? null,
    fileType: lastValue(parsed, 'type') ?? null,
    wish: wishOf(parsed, type),
    afterwards: has('force') ? 'jump' : has('load') || has('load-panic') ? 'nothing' : 'reboot',
    jump,
    manner,
  };
}

function wishOf(parsed: ParsedArguments, type: ImageType): LoadWish {
  const has = (name: string) => hasOption(parsed, name);
  const only = (syscall: string) =>
    kexecOptions
      .filter((option) => option.only === syscall && has(option.name))
      .map(({ name }) => `--${name}`);
  const syscallOption = parsed.options.findLast(({ name }) => name.startsWith('kexec-'))?.name;
  return {
    request: {
      type,
      append: lastValue(parsed, 'append') ?? null,
      reuseCommandLine: has('reuse-cmdline'),
      debug: has('debug'),
      noCma: has('no-cma'),
      forceDtb: has('force-dtb'),
      placing: placingOf(parsed),
    },
    syscalls: {
      choice:
        syscallOption === 'kexec-file-syscall'
          ? 'kexec_file_load'
          : syscallOption === 'kexec-syscall'
            ? 'kexec_load'
            : 'auto',
      placingOptions: only('kexec_load'),
      fileOptions: only('kexec_file_load'),
    },
  };
}

function placingOf(parsed: ParsedArguments): PlacingRequest {
  const has = (name: string) => hasOption(parsed, name);
  const address = (name: string): number | undefined => {
    const text = lastValue(parsed, name);
    return text === undefined ? undefined : parseAddress(name, text);
  };
  const { memMin, memMax, entry } = plainPlacing;
  const style = parsed.options.findLast(({ name }) => name.startsWith('args-'))?.name.slice('args-'.length);
  return {
    memMin: address('mem-min') ?? memMin,
    memMax: address('mem-max') ?? memMax,
    checks: !has('no-checks'),
    entry: address('entry') ?? entry,
    hotplug: has('hotplug'),
    preserveContext: has('load-preserve-context'),
    efi: !has('noefi'),
    memmapOnCommandLine: has('pass-memmap-cmdline'),
    reuseVideoType: has('reuse-video-type'),
    elfArguments: (style as ElfArguments | undefined) ?? null,
    console: {
      resetVga: has('reset-vga'),
      vga: has('console-vga'),
      serial: has('console-serial'),
      port: parseSerial(lastValue(parsed, 'serial'), lastValue(parsed, 'serial-baud')),
    },
  };
}

function refuseKernel({ positionals }: ParsedArguments, option: string): void {
  if (positionals.length > 0) throw wrongUsage(`${option} takes no kernel, but ${positionals[0]} was given`);
}

/** What each of the actions does, for the sentence that two of them do not go together. */
const does: Readonly<Record<string, string>> = {
  load: '-l loads',
  'load-panic': '-p loads for a panic',
  unload: '-u unloads',
  exec: '-e jumps',
  force: '-f loads and jumps',
  'load-jump-back-helper': '--load-jump-back-helper loads a way back',
  'load-preserve-context': '--load-preserve-context loads for a kexec reboot',
  'kexec-file-syscall': '-s asks for kexec_file_load, which knows no way back',
};

function refuseTogether(parsed: ParsedArguments, option: string, others: readonly string[]): void {
  const other = others.find((name) => hasOption(parsed, name));
  if (other !== undefined) throw wrongUsage(`${does[other]} and ${does[option]}: give one of them`);
}
