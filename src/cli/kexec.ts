import { applyPlan } from '../kexec/apply.ts';
import { readInitrd, readKernel } from '../kexec/files.ts';
import { describeLoaded, type MachineFacts, readMachine } from '../kexec/machine.ts';
import { permissionErrors } from '../kexec/permission.ts';
import { type Plan, planLoad, planUnload } from '../kexec/plan.ts';
import type { ImageType } from '../kexec/uapi.ts';
import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import { getopt, hasOption, lastValue, type OptionSpec, type ParsedArguments } from '../lib/getopt.ts';
import { version } from '../lib/version.ts';

const help = `Usage: kexec [options] KERNEL

Loads a kernel that this one can jump into: on a panic (-p), or at the next kexec reboot (-l).

 -p, --load-panic          load KERNEL to run when this kernel panics
 -l, --load                load KERNEL for the next kexec reboot
 -u, --unload              unload it again; with -p the crash kernel
 -S, --status              exit with 1 if a crash kernel is loaded, with 0 if not (with -l: the other image)
     --initrd=FILE         initial RAM disk; --ramdisk is the same
     --append=STRING       kernel command line; --command-line is the same
     --reuse-cmdline       begin with this kernel's command line
 -s, --kexec-file-syscall  use kexec_file_load, which is also the default
     --dry-run             check everything, print the plan as JSON, touch nothing
     --root=DIR            with --dry-run or -S: read DIR/proc and DIR/sys instead of this machine's
     --json                status and errors as JSON
 -d, --debug               say what is done; let the kernel log where it puts things, where it can
 -h, --help                this text
 -v, --version             version

Exit codes: 0 done, 1 refused or wrong usage, 253 this kernel cannot do it by kexec_file_load,
255 the load failed or a file is not what it should be. -S: 1 loaded, 0 not loaded, 255 unknown.
`;

const supported: readonly OptionSpec[] = [
  { name: 'help', short: 'h' },
  { name: 'help', long: [], short: '?' },
  { name: 'version', short: 'v' },
  { name: 'debug', short: 'd' },
  { name: 'load', short: 'l' },
  { name: 'load-panic', short: 'p' },
  { name: 'unload', short: 'u' },
  { name: 'status', short: 'S' },
  { name: 'kexec-file-syscall', short: 's' },
  { name: 'append', long: ['append', 'command-line'], takesValue: true },
  { name: 'reuse-cmdline' },
  { name: 'initrd', long: ['initrd', 'ramdisk'], takesValue: true },
  { name: 'dry-run' },
  { name: 'root', takesValue: true },
  { name: 'json' },
];

const useFileMode =
  'kernels are loaded by kexec_file_load (-s), in which the running kernel decides where things go';
const useReboot = 'load with -l, then let `systemctl kexec` stop the services and jump';

/** The other options of kexec-tools, known so that they are refused with a reason and abbreviations stay the same. */
const refused: readonly (OptionSpec & { readonly instead: string })[] = [
  ...(
    [
      ['exec', 'e'],
      ['force', 'f'],
      ['no-ifdown', 'x'],
      ['no-sync', 'y'],
    ] as const
  ).map(([name, short]) => ({ name, short, instead: useReboot })),
  ...(
    [
      ['kexec-syscall', 'c'],
      ['kexec-syscall-auto', 'a'],
      ['no-checks', 'i'],
    ] as const
  ).map(([name, short]) => ({ name, short, instead: useFileMode })),
  ...[
    'reuseinitrd',
    'load-preserve-context',
    'load-jump-back-helper',
    'load-live-update',
    'exec-live-update',
    'hotplug',
    'no-cma',
    'force-dtb',
    'reset-vga',
    'console-vga',
    'console-serial',
    'elf32-core-headers',
    'elf64-core-headers',
    'pass-memmap-cmdline',
    'noefi',
    'reuse-video-type',
    'args-elf',
    'args-linux',
    'args-none',
    'real-mode',
    'entry-32bit',
  ].map((name) => ({ name, instead: useFileMode })),
  {
    name: 'type',
    short: 't',
    takesValue: true,
    instead: 'the kernel is a bzImage, and is recognised as such',
  },
  ...['mem-min', 'mem-max', 'entry', 'serial', 'serial-baud', 'module', 'dtb'].map((name) => ({
    name,
    takesValue: true,
    instead: useFileMode,
  })),
  {
    name: 'print-ckr-size',
    instead:
      'the size of the reserved memory stands in /sys/kernel/kexec_crash_size, and in `kexec -S --json`',
  },
];

const hint = 'See `kexec --help`.';
const wrongUsage = (message: string, fix = hint) => new KdumpError('usage', message, { fix });

/** Runs the command and returns its exit code. */
function main(argv: readonly string[]): number {
  // Before parsing, since an option that is wrong must be reported in the form that was asked for.
  const json = argv.includes('--json');
  try {
    return run(parse(argv));
  } catch (error) {
    if (json && error instanceof KdumpError) process.stderr.write(`${JSON.stringify(error.toJSON())}\n`);
    else process.stderr.write(`kexec: ${describeError(error)}\n`);
    return exitCodeOf(error);
  }
}

function parse(argv: readonly string[]): ParsedArguments {
  let parsed: ParsedArguments;
  try {
    parsed = getopt(argv, [...supported, ...refused]);
  } catch (error) {
    throw error instanceof KdumpError ? wrongUsage(error.message) : error;
  }
  for (const { name } of parsed.options) {
    const found = refused.find((option) => option.name === name);
    if (found)
      throw new KdumpError('unsupported-option', `--${name} is not supported: ${found.instead}`, {
        fix: hint,
        facts: { option: name },
      });
  }
  return parsed;
}

function run(parsed: ParsedArguments): number {
  const has = (name: string) => hasOption(parsed, name);
  if (has('help')) {
    process.stdout.write(help);
    return 0;
  }
  if (has('version')) {
    process.stdout.write(`kexec (kdump-tools) ${version}\n`);
    return 0;
  }
  const root = lastValue(parsed, 'root') ?? '/';
  if (has('root') && !has('dry-run') && !has('status'))
    throw wrongUsage('--root stands in for this machine only with --dry-run or -S');
  if ((has('status') || has('unload')) && parsed.positionals.length > 0)
    throw wrongUsage(
      `${has('status') ? '-S' : '-u'} takes no kernel, but ${parsed.positionals[0]} was given`,
    );

  if (has('status')) return status(parsed, readMachine(root));
  const plan = makePlan(parsed, root);
  const debug = has('debug') ? (text: string) => process.stderr.write(`kexec: ${text}\n`) : undefined;
  for (const warning of plan.action === 'load' ? plan.warnings : [])
    process.stderr.write(has('json') ? `${JSON.stringify({ warning })}\n` : `kexec: warning: ${warning}\n`);
  if (has('dry-run')) {
    process.stdout.write(`${JSON.stringify(plan, null, 2)}\n`);
    // The plan is there to be read; whether it could be carried out is the exit code.
    const forbidden = permissionErrors(plan.type, readMachine(root))[0];
    if (forbidden) throw forbidden;
    return 0;
  }
  if (debug) describePlan(plan, debug);
  const applied = applyPlan(plan);
  debug?.(`kexec_file_load with flags 0x${applied.flagBits.toString(16)} succeeded`);
  debug?.(describeLoaded(plan.type, applied.after));
  return 0;
}

/** kexec-tools' answer, which is the other way round than a shell expects: 1 is loaded, 0 is not. */
function status(parsed: ParsedArguments, machine: MachineFacts): number {
  // A crash kernel is what is asked about most, and what -S alone means; only -l asks about the other one.
  const type: ImageType = hasOption(parsed, 'load') && !hasOption(parsed, 'load-panic') ? 'normal' : 'crash';
  const loaded = machine.loaded[type];
  if (hasOption(parsed, 'json'))
    process.stdout.write(
      `${JSON.stringify({ type, loaded, crashLoaded: machine.loaded.crash, normalLoaded: machine.loaded.normal, crashSize: machine.crash.size })}\n`,
    );
  else if (hasOption(parsed, 'debug')) process.stderr.write(`kexec: ${describeLoaded(type, loaded)}\n`);
  return loaded === null ? 255 : loaded ? 1 : 0;
}

/** Reads what the plan needs, in any order of options. */
function makePlan(parsed: ParsedArguments, root: string): Plan {
  const has = (name: string) => hasOption(parsed, name);
  const type: ImageType = has('load-panic') ? 'crash' : 'normal';
  if (has('unload')) {
    if (has('load')) throw wrongUsage('-l loads and -u unloads: give one of them');
    return planUnload(type, readMachine(root));
  }
  const [kernel, ...more] = parsed.positionals;
  if (kernel === undefined) throw wrongUsage('no kernel specified');
  if (!has('load') && !has('load-panic'))
    throw wrongUsage(`loading and rebooting in one step is not supported: ${useReboot}`);
  if (more.length > 0) throw wrongUsage(`one kernel is loaded, but these were given, too: ${more.join(' ')}`);
  const initrd = lastValue(parsed, 'initrd');
  return planLoad(
    {
      type,
      append: lastValue(parsed, 'append') ?? null,
      reuseCommandLine: has('reuse-cmdline'),
      debug: has('debug'),
    },
    {
      kernel: readKernel(kernel),
      initrd: initrd === undefined ? null : readInitrd(initrd),
      machine: readMachine(root),
    },
  );
}

function describePlan(plan: Plan, say: (text: string) => void): void {
  if (plan.action === 'unload') {
    say(`unloading the ${plan.type} image`);
    return;
  }
  say(
    `kernel ${plan.kernel.path}: ${plan.kernel.kernel_version ?? 'no version'}, protocol ${plan.kernel.protocol}`,
  );
  say(`initrd ${plan.initrd?.path ?? 'none'}`);
  say(`command line (${plan.commandLineBytes} of ${plan.commandLineLimit} bytes): ${plan.commandLine}`);
  const { needed, reserved, left } = plan.memory;
  say(
    `memory: ${needed.total} bytes at least (kernel ${needed.kernel}, initrd ${needed.initrd})${
      reserved === null ? '' : `, ${reserved.size} reserved, ${left} left to work with`
    }`,
  );
}

process.exitCode = main(process.argv.slice(2));
