import type { OptionSpec } from '../../lib/getopt.ts';

export const usage = `Usage: crash [OPTION]... [NAMELIST] [DUMP]...

Tells what a kernel was doing, from a dump of its memory: symbols, types and stacks are found in the dump itself.

  DUMP       a vmcore of any format, all parts of a split one, /proc/kcore or "live" for the running kernel
  NAMELIST   its vmlinux with debug information, for source lines; in any place of the command line

  -c COMMANDS   run these, separated by semicolons, and end; the status is 1 when one of them failed
  -i FILE       run the commands of a file, then go on
      --json    results as JSON, a line for each command
      --report FILE   write a report: what happened. FILE ends in .html, .json or .md
      --src DIR   source of the kernel, for dis -s; else where the vmlinux lies
  -s            silent: neither the banner nor the commands of files
      --osrelease   print the release of the kernel and end
      --log         print its log and end
  -h [COMMAND]  this, or what a command does; -v the version

Commands are those of crash(8); "help" lists them.
`;

export const options: readonly OptionSpec[] = [
  { name: 'commands', short: 'c', long: [], takesValue: true },
  { name: 'input', short: 'i', long: [], takesValue: true },
  { name: 'json' },
  { name: 'report', takesValue: true },
  { name: 'src', takesValue: true },
  { name: 'silent', short: 's', long: [] },
  { name: 'osrelease' },
  { name: 'log' },
  { name: 'help', short: 'h' },
  { name: 'version', short: 'v' },
  // What crash(8) needs to be told, and a dump tells by itself.
  ...[
    'no_modules',
    'no_kallsyms',
    'no_panic',
    'no_elf_notes',
    'no_data_debug',
    'no_kmem_cache',
    'minimal',
    'no_ikconfig',
    'no_namelist_gzip',
    'active',
    'buildinfo',
    'reset',
    'smp',
    'zero_excluded',
    'more',
    'less',
    'no_scroll',
    'no_crashrc',
    'kmem_cache_delay',
    'no_strip',
  ].map((name) => ({ name: 'ignored', long: [name] })),
  ...[
    'machdep',
    'cpus',
    'kaslr',
    'reloc',
    'offline',
    'mod',
    'hash',
    'memory_module',
    'memory_device',
    'CRASHPAGER',
  ].map((name) => ({ name: 'ignored', long: [name], takesValue: true })),
  { name: 'ignored', short: 'S', long: [] },
  { name: 'ignored', short: 'f', long: [] },
  { name: 'ignored', short: 'g', long: [] },
  { name: 'ignored', short: 'd', long: [], takesValue: true },
  { name: 'ignored', short: 'p', long: [], takesValue: true },
  { name: 'ignored', short: 'e', long: [], takesValue: true },
];
