import type { LoadWish } from '../../kexec/plan.ts';
import { plainPlacing } from '../../kexec/request.ts';
import { KdumpError } from '../../lib/errors.ts';
import { getopt, hasOption, type OptionSpec, type ParsedArguments } from '../../lib/getopt.ts';

type KexecArgument = OptionSpec & { readonly only?: 'kexec_load' | 'kexec_file_load' };
const onlyPlaced = { only: 'kexec_load' } as const;

/** Options of kexec that make sense for a crash kernel whose files and command line are chosen already. */
const known: readonly KexecArgument[] = [
  { name: 'load-panic', short: 'p' },
  { name: 'kexec-syscall-auto', short: 'a' },
  { name: 'kexec-file-syscall', short: 's' },
  { name: 'kexec-syscall', short: 'c' },
  { name: 'debug', short: 'd' },
  { name: 'hotplug' },
  { name: 'no-cma' },
  { name: 'force-dtb', only: 'kexec_file_load' },
  // What is always so.
  { name: 'elf64-core-headers' },
  { name: 'no-checks', short: 'i', ...onlyPlaced },
  { name: 'noefi', ...onlyPlaced },
  { name: 'pass-memmap-cmdline', ...onlyPlaced },
  { name: 'reset-vga', ...onlyPlaced },
  { name: 'console-vga', ...onlyPlaced },
  { name: 'console-serial', ...onlyPlaced },
];

/**
 * What KEXEC_ARGS or KDUMP_KEXEC_ARGS and the command line come to.
 * @throws KdumpError `usage` for an option that is not known here
 */
export function loadWish(kexecArgs: readonly string[], commandLine: string): LoadWish {
  const parsed = parse(kexecArgs);
  const has = (name: string): boolean => hasOption(parsed, name);
  const only = (syscall: string): string[] =>
    known.filter((option) => option.only === syscall && has(option.name)).map(({ name }) => `--${name}`);
  const choice = parsed.options.findLast(({ name }) => name.startsWith('kexec-'))?.name;
  return {
    request: {
      type: 'crash',
      append: commandLine,
      reuseCommandLine: false,
      debug: has('debug'),
      noCma: has('no-cma'),
      forceDtb: has('force-dtb'),
      placing: {
        ...plainPlacing,
        checks: !has('no-checks'),
        hotplug: has('hotplug'),
        efi: !has('noefi'),
        memmapOnCommandLine: has('pass-memmap-cmdline'),
        console: {
          ...plainPlacing.console,
          resetVga: has('reset-vga'),
          vga: has('console-vga'),
          serial: has('console-serial'),
        },
      },
    },
    syscalls: {
      choice:
        choice === 'kexec-file-syscall'
          ? 'kexec_file_load'
          : choice === 'kexec-syscall'
            ? 'kexec_load'
            : 'auto',
      placingOptions: only('kexec_load'),
      fileOptions: only('kexec_file_load'),
    },
  };
}

function parse(kexecArgs: readonly string[]): ParsedArguments {
  const wrong = (why: string): KdumpError =>
    new KdumpError('usage', `KEXEC_ARGS: ${why}`, {
      fix: `Known are ${known.map(({ name, short }) => (short === undefined ? `--${name}` : `-${short}`)).join(', ')}.`,
    });
  let parsed: ParsedArguments;
  try {
    parsed = getopt(kexecArgs, known);
  } catch (error) {
    throw error instanceof KdumpError ? wrong(error.message) : error;
  }
  if (parsed.positionals.length > 0) throw wrong(`unexpected argument "${parsed.positionals[0]}"`);
  return parsed;
}
