import { KdumpError } from '../lib/errors.ts';
import { getopt, hasOption, lastValue, type OptionSpec, type ParsedArguments } from '../lib/getopt.ts';
import { compressorNames } from '../system/codecs.ts';
import { maxLevel } from './filter.ts';
import type { Compression } from './page-compressor.ts';

/** What to dump, how, and where to. */
export type CollectRequest = {
  readonly vmcore: string;
  readonly output: string;
  /** 0 to 31. */
  readonly dumpLevel: number;
  readonly compression: Compression;
  readonly overwrite: boolean;
};

/** Bits of --message-level (makedumpfile(8)). */
export const message = { progress: 1, common: 2, error: 4, debug: 8, report: 16 } as const;
const defaultMessageLevel = message.progress | message.common | message.error;
const allMessages = 31;

export type MakedumpfileCommand =
  | { readonly mode: 'help' }
  | { readonly mode: 'version' }
  | {
      readonly mode: 'create';
      readonly request: CollectRequest;
      readonly messageLevel: number;
      readonly checkOnly: boolean;
    }
  | {
      readonly mode: 'dmesg';
      readonly vmcore: string;
      readonly output: string;
      readonly overwrite: boolean;
      readonly messageLevel: number;
      readonly checkOnly: boolean;
    };

const options: readonly OptionSpec[] = [
  { name: 'zlib', short: 'c', long: [] },
  { name: 'lzo', short: 'l', long: [] },
  { name: 'zstd', short: 'z', long: [] },
  { name: 'dump-level', short: 'd', long: [], takesValue: true },
  { name: 'force', short: 'f', long: [] },
  { name: 'debug', short: 'D', long: [] },
  { name: 'help', short: 'h' },
  { name: 'version', short: 'v', long: [] },
  { name: 'message-level', takesValue: true },
  { name: 'show-stats' },
  { name: 'check-params' },
  { name: 'dump-dmesg' },
];

/** Options of the original that this one does not have: named, so that the refusal is not taken for a typing error. */
const refused: readonly OptionSpec[] = [
  { name: '-p', short: 'p', long: [] },
  { name: '-E', short: 'E', long: [] },
  { name: '-F', short: 'F', long: [] },
  { name: '-R', short: 'R', long: [] },
  { name: '-e', short: 'e', long: [] },
  { name: '-X', short: 'X', long: [] },
  { name: '-L', short: 'L', long: [], takesValue: true },
  { name: '-b', short: 'b', long: [], takesValue: true },
  { name: '-x', short: 'x', long: [], takesValue: true },
  { name: '-i', short: 'i', long: [], takesValue: true },
  { name: '-g', short: 'g', long: [], takesValue: true },
  ...['split', 'reassemble', 'non-mmap', 'partial-dmesg', 'mem-usage', 'dry-run'].map((long) => ({
    name: `--${long}`,
    long: [long],
  })),
  ...[
    'splitblock-size',
    'num-threads',
    'cyclic-buffer',
    'work-dir',
    'vtop',
    'config',
    'eppic',
    'extension',
    'diskset',
    'xen-syms',
    'xen-vmcoreinfo',
    'xen_phys_start',
  ].map((long) => ({ name: `--${long}`, long: [long], takesValue: true })),
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
  const unavailable = parsed.options.find((o) => refused.some((spec) => spec.name === o.name));
  if (unavailable)
    throw new KdumpError('usage', `option '${unavailable.name}' of makedumpfile is not available here`);

  const checkOnly = hasOption(parsed, 'check-params');
  const shared = {
    // Checking is about being told: the original forces the default level, too.
    messageLevel: checkOnly ? defaultMessageLevel : messageLevelOf(parsed),
    checkOnly,
  };
  const overwrite = hasOption(parsed, 'force');
  const [vmcore, output, ...rest] = parsed.positionals;
  if (vmcore === undefined || output === undefined) {
    const what = vmcore === undefined ? 'VMCORE and an output file' : `an output file after '${vmcore}'`;
    throw new KdumpError('usage', `expected ${what}`);
  }
  if (rest.length > 0) throw new KdumpError('usage', `unexpected argument '${rest[0]}'`);
  if (hasOption(parsed, 'dump-dmesg')) {
    for (const name of [...compressorNames, 'dump-level']) {
      if (hasOption(parsed, name))
        throw new KdumpError('usage', `--dump-dmesg writes plain text: no compression and no dump level`);
    }
    return { mode: 'dmesg', vmcore, output, overwrite, ...shared };
  }
  return {
    mode: 'create',
    request: {
      vmcore,
      output,
      dumpLevel: dumpLevelOf(parsed),
      compression: compressionOf(parsed),
      overwrite,
    },
    ...shared,
  };
}

/** The last of -c, -l and -z wins, as in the original. */
function compressionOf(parsed: ParsedArguments): Compression {
  const last = parsed.options.findLast((o) => compressorNames.some((codec) => codec === o.name));
  return compressorNames.find((codec) => codec === last?.name) ?? 'none';
}

function dumpLevelOf(parsed: ParsedArguments): number {
  const text = lastValue(parsed, 'dump-level');
  return text === undefined ? 0 : wholeNumber(text, maxLevel, '-d');
}

function messageLevelOf(parsed: ParsedArguments): number {
  const text = lastValue(parsed, 'message-level');
  let bits = text === undefined ? defaultMessageLevel : wholeNumber(text, allMessages, '--message-level');
  if (hasOption(parsed, 'debug')) bits |= message.debug;
  if (hasOption(parsed, 'show-stats')) bits |= message.report;
  return bits;
}

function wholeNumber(text: string, max: number, option: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > max)
    throw new KdumpError('usage', `option '${option}': '${text}' is not a number from 0 to ${max}`);
  return value;
}
