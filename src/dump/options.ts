import { KdumpError } from '../lib/errors.ts';
import { getopt, hasOption, lastValue, type OptionSpec, type ParsedArguments } from '../lib/getopt.ts';
import { parseSize } from '../lib/size.ts';
import { compressorNames } from '../system/codecs.ts';
import type { Compression } from './crew/page-compressor.ts';
import { maxLevel } from './filter/kinds.ts';
import { type CollectRequest, collectRequest, type DumpTarget } from './request.ts';
import { parseAddress } from './vtop.ts';

/** Bits of --message-level (makedumpfile(8)). */
export const message = { progress: 1, common: 2, error: 4, debug: 8, report: 16 } as const;
const defaultMessageLevel = message.progress | message.common | message.error;
const allMessages = 31;

/** Where a file goes, or standard output as a stream. */
export type FileTarget = { readonly path: string; readonly overwrite: boolean };

/** What a command line asks for. */
export type MakedumpfileMode =
  | {
      readonly mode: 'create';
      readonly request: CollectRequest;
      /** Virtual address to translate before the work. */
      readonly translate: bigint | undefined;
    }
  | {
      readonly mode: 'dmesg';
      readonly inputs: readonly string[];
      /** undefined: standard output. */
      readonly output: FileTarget | undefined;
      readonly partial: boolean;
      readonly vmcoreinfoFile: string | undefined;
      readonly vmlinux: string | undefined;
    }
  | { readonly mode: 'rearrange'; readonly output: FileTarget }
  | { readonly mode: 'reassemble'; readonly inputs: readonly string[]; readonly output: FileTarget }
  | { readonly mode: 'generate'; readonly vmlinux: string; readonly output: FileTarget }
  | { readonly mode: 'mem-usage'; readonly input: string }
  | { readonly mode: 'verify'; readonly inputs: readonly string[] }
  | { readonly mode: 'salvage'; readonly inputs: readonly string[]; readonly output: FileTarget }
  | {
      readonly mode: 'explain';
      readonly inputs: readonly string[];
      readonly pfn: number;
      readonly dumpLevel: number;
      readonly vmcoreinfoFile: string | undefined;
      readonly vmlinux: string | undefined;
    };

export type MakedumpfileCommand =
  | { readonly mode: 'help' }
  | { readonly mode: 'version' }
  | (MakedumpfileMode & {
      readonly messageLevel: number;
      /** Only the command line is checked. */
      readonly checkOnly: boolean;
      /** The result as JSON on standard output. */
      readonly json: boolean;
    });

const flag = (name: string, short?: string): OptionSpec =>
  short === undefined ? { name } : { name, short, long: [] };
const value = (name: string, short?: string): OptionSpec => ({ ...flag(name, short), takesValue: true });

const options: readonly OptionSpec[] = [
  flag('zlib', 'c'),
  flag('lzo', 'l'),
  flag('snappy', 'p'),
  flag('zstd', 'z'),
  value('-d', 'd'),
  value('-L', 'L'),
  flag('-E', 'E'),
  flag('-F', 'F'),
  flag('-R', 'R'),
  flag('-f', 'f'),
  flag('-e', 'e'),
  value('-b', 'b'),
  value('-x', 'x'),
  value('-i', 'i'),
  value('-g', 'g'),
  flag('-D', 'D'),
  { name: 'help', short: 'h' },
  flag('version', 'v'),
  ...['split', 'reassemble', 'dump-dmesg', 'partial-dmesg', 'mem-usage', 'non-mmap'].map((name) =>
    flag(name),
  ),
  ...['check-params', 'dry-run', 'show-stats', 'verify', 'salvage', 'json'].map((name) => flag(name)),
  ...[
    'splitblock-size',
    'num-threads',
    'cyclic-buffer',
    'work-dir',
    'vtop',
    'config',
    'message-level',
    'explain',
  ].map((name) => value(name)),
];

/** Options of the original that are not for this one, and why. */
const refused: readonly (OptionSpec & { readonly why: string })[] = [
  { ...flag('-X', 'X'), why: 'Xen domains are not told apart here' },
  { ...value('xen-syms'), why: 'Xen hypervisors are not supported' },
  { ...value('xen-vmcoreinfo'), why: 'Xen hypervisors are not supported' },
  { ...value('xen_phys_start'), why: 'Xen hypervisors are not supported' },
  { ...value('diskset'), why: "sadump, Fujitsu's firmware dump, is not supported" },
  { ...value('eppic'), why: 'EPPIC scripts need the original; --config erases by symbol and type' },
  { ...value('extension'), why: 'extensions are native code for the original' },
];

/**
 * Parses makedumpfile's command line.
 * @param argv without the program's name
 * @throws KdumpError `usage`
 */
export function parseMakedumpfile(argv: readonly string[]): MakedumpfileCommand {
  const parsed = getopt(argv, [...options, ...refused]);
  if (hasOption(parsed, 'help')) return { mode: 'help' };
  if (hasOption(parsed, 'version')) return { mode: 'version' };
  for (const { name } of parsed.options) {
    const known = refused.find((spec) => spec.name === name);
    if (known) throw usage(`option '${dashed(name)}' is not available: ${known.why}`);
  }
  const checkOnly = hasOption(parsed, 'check-params');
  return {
    ...modeOf(parsed),
    // Checking is about being told: the original forces the default level, too.
    messageLevel: checkOnly ? defaultMessageLevel : messageLevelOf(parsed),
    checkOnly,
    json: hasOption(parsed, 'json'),
  };
}

/** The mode in the original's order of precedence, its own of ours first. */
function modeOf(parsed: ParsedArguments): MakedumpfileMode {
  const { positionals } = parsed;
  const has = (name: string): boolean => hasOption(parsed, name);
  const overwrite = has('-f');
  // Written by another command line, these would be silently lost.
  const forbid = (mode: string, names: readonly string[]): void => {
    for (const name of names) if (has(name)) throw usage(`${mode} cannot be combined with '${dashed(name)}'`);
  };
  const notForDumps = [...compressorNames, '-d', '-E', '-e', 'config', 'split', 'dry-run', 'partial-dmesg'];

  if (has('verify')) {
    forbid('--verify', [...notForDumps, '-F', '-R']);
    return { mode: 'verify', inputs: atLeastOne(positionals, 'the dump to verify') };
  }
  if (has('salvage')) {
    forbid('--salvage', [...notForDumps, '-F', '-R']);
    const [inputs, path] = inputsAndOutput(positionals);
    return { mode: 'salvage', inputs, output: { path, overwrite } };
  }
  const explained = lastValue(parsed, 'explain');
  if (explained !== undefined) {
    return {
      mode: 'explain',
      inputs: atLeastOne(positionals, 'the dump to look at'),
      pfn: frameNumber(explained),
      dumpLevel: dumpLevelsOf(parsed, [maxLevel])[0]!,
      vmcoreinfoFile: lastValue(parsed, '-i'),
      vmlinux: lastValue(parsed, '-x'),
    };
  }
  const generated = lastValue(parsed, '-g');
  if (generated !== undefined) {
    forbid("'-g'", [...notForDumps, '-i', '-F']);
    const vmlinux = lastValue(parsed, '-x');
    if (vmlinux === undefined) throw usage("'-g' needs '-x VMLINUX', which it reads");
    noMore(positionals, 0);
    return { mode: 'generate', vmlinux, output: { path: generated, overwrite } };
  }
  if (has('-R')) {
    forbid("'-R'", [...notForDumps, '-i', '-x', '-F']);
    noMore(positionals, 1);
    return { mode: 'rearrange', output: { path: atLeastOne(positionals, 'an output file')[0]!, overwrite } };
  }
  if (has('reassemble')) {
    forbid('--reassemble', [...notForDumps, '-i', '-x', '-F']);
    const [inputs, path] = inputsAndOutput(positionals);
    return { mode: 'reassemble', inputs, output: { path, overwrite } };
  }
  if (has('dump-dmesg')) {
    forbid('--dump-dmesg', [...compressorNames, '-d', '-E', 'split', 'dry-run', 'config']);
    onlyOneDescription(parsed);
    const streams = has('-F');
    const [inputs, path] = streams ? [atLeastOne(positionals, 'VMCORE')] : inputsAndOutput(positionals);
    return {
      mode: 'dmesg',
      inputs,
      output: path === undefined ? undefined : { path, overwrite },
      partial: has('partial-dmesg'),
      vmcoreinfoFile: lastValue(parsed, '-i'),
      vmlinux: lastValue(parsed, '-x'),
    };
  }
  if (has('partial-dmesg')) throw usage("'--partial-dmesg' is for '--dump-dmesg'");
  if (has('mem-usage')) {
    forbid('--mem-usage', [...compressorNames, '-d', '-E', '-F', 'split', 'dry-run', 'config']);
    noMore(positionals, 1);
    return { mode: 'mem-usage', input: atLeastOne(positionals, '/proc/kcore')[0]! };
  }
  return createMode(parsed);
}

function createMode(parsed: ParsedArguments): MakedumpfileMode {
  const has = (name: string): boolean => hasOption(parsed, name);
  const compression = compressionOf(parsed);
  const format = has('-E') ? 'elf' : 'kdump';
  if (format === 'elf' && compression !== 'none')
    throw usage("'-E' writes pages as they are: there is no compressed ELF format");
  if (format === 'elf' && has('split')) throw usage("'-E' cannot be split: a part would be no ELF core");
  if (has('-F') && has('split')) throw usage("'-F' is one stream: it cannot be '--split'");
  onlyOneDescription(parsed);
  const [inputs, target] = inputsAndTarget(parsed);
  const vtop = lastValue(parsed, 'vtop');
  // The size of the original's write cache; accepted, checked, and of no effect.
  numberOf(parsed, '-b', 0, 31);
  return {
    mode: 'create',
    request: collectRequest(inputs, target, {
      format,
      dumpLevels: dumpLevelsOf(parsed, [0]),
      compression,
      threads: threadsOf(parsed),
      limit: sizeOf(parsed, '-L'),
      cycleBytes: kibibytesOf(parsed, 'cyclic-buffer'),
      mapped: !has('non-mmap'),
      excludeVmemmap: has('-e'),
      vmcoreinfoFile: lastValue(parsed, '-i'),
      vmlinux: lastValue(parsed, '-x'),
      eraseConfig: lastValue(parsed, 'config'),
    }),
    translate: vtop === undefined ? undefined : parseAddress(vtop, '--vtop'),
  };
}

function inputsAndTarget(parsed: ParsedArguments): [readonly string[], DumpTarget] {
  const { positionals } = parsed;
  const overwrite = hasOption(parsed, '-f');
  const dry = hasOption(parsed, 'dry-run');
  if (hasOption(parsed, '-F')) {
    const inputs = atLeastOne(positionals, 'VMCORE');
    return [inputs, dry ? { kind: 'nothing', paths: ['(standard output)'] } : { kind: 'stream' }];
  }
  if (hasOption(parsed, 'split')) {
    const [input, ...paths] = positionals;
    if (input === undefined || paths.length < 2) {
      throw usage("'--split' expects VMCORE and two output files or more", {
        fix: 'To split a set again, reassemble it first.',
      });
    }
    const block = kibibytesOf(parsed, 'splitblock-size');
    return [[input], dry ? { kind: 'nothing', paths } : { kind: 'split', paths, overwrite, block }];
  }
  const [inputs, path] = inputsAndOutput(positionals);
  return [inputs, dry ? { kind: 'nothing', paths: [path] } : { kind: 'file', path, overwrite }];
}

/** The last one is written, those before are read: one file, or all parts of a split set. */
function inputsAndOutput(positionals: readonly string[]): [readonly string[], string] {
  const inputs = positionals.slice(0, -1);
  const output = positionals.at(-1);
  if (output === undefined) throw usage('expected VMCORE and an output file');
  if (inputs.length === 0) throw usage(`expected an output file after '${output}'`);
  return [inputs, output];
}

function atLeastOne(positionals: readonly string[], what: string): readonly string[] {
  if (positionals.length === 0) throw usage(`expected ${what}`);
  return positionals;
}

function noMore(positionals: readonly string[], allowed: number): void {
  if (positionals.length > allowed) throw usage(`unexpected argument '${positionals[allowed]}'`);
}

function onlyOneDescription(parsed: ParsedArguments): void {
  if (hasOption(parsed, '-i') && hasOption(parsed, '-x'))
    throw usage("'-i' and '-x' both describe the kernel: give one of them");
}

/** The last of -c, -l, -p and -z wins, as in the original. */
function compressionOf(parsed: ParsedArguments): Compression {
  const last = parsed.options.findLast((o) => compressorNames.some((codec) => codec === o.name));
  return compressorNames.find((codec) => codec === last?.name) ?? 'none';
}

function dumpLevelsOf(parsed: ParsedArguments, otherwise: readonly number[]): readonly number[] {
  const text = lastValue(parsed, '-d');
  return text === undefined ? otherwise : text.split(',').map((part) => wholeNumber(part, 0, maxLevel, '-d'));
}

/** 0 is how the original spells "none but the main one". */
function threadsOf(parsed: ParsedArguments): number | undefined {
  const threads = numberOf(parsed, 'num-threads', 0, 1024);
  return threads === undefined ? undefined : Math.max(1, threads);
}

function sizeOf(parsed: ParsedArguments, name: string): number | undefined {
  const text = lastValue(parsed, name);
  return text === undefined ? undefined : parseSize(text, name);
}

function kibibytesOf(parsed: ParsedArguments, name: string): number | undefined {
  const kibibytes = numberOf(parsed, name, 1, 2 ** 32);
  return kibibytes === undefined ? undefined : kibibytes * 1024;
}

function messageLevelOf(parsed: ParsedArguments): number {
  let bits = numberOf(parsed, 'message-level', 0, allMessages) ?? defaultMessageLevel;
  if (hasOption(parsed, '-D')) bits |= message.debug;
  if (hasOption(parsed, 'show-stats')) bits |= message.report;
  return bits;
}

function frameNumber(text: string): number {
  const pfn = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(pfn))
    throw usage(`option '--explain': '${text}' is not a page frame number (decimal, or hexadecimal with 0x)`);
  return pfn;
}

function numberOf(parsed: ParsedArguments, name: string, least: number, most: number): number | undefined {
  const text = lastValue(parsed, name);
  return text === undefined ? undefined : wholeNumber(text, least, most, dashed(name));
}

function wholeNumber(text: string, least: number, most: number, option: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least || number > most)
    throw usage(`option '${option}': '${text}' is not a number from ${least} to ${most}`);
  return number;
}

const shortOf: Readonly<Record<string, string>> = { zlib: '-c', lzo: '-l', snappy: '-p', zstd: '-z' };
const dashed = (name: string): string => shortOf[name] ?? (name.startsWith('-') ? name : `--${name}`);

function usage(text: string, options: { fix?: string } = {}): KdumpError {
  return new KdumpError('usage', text, options);
}
