import { isMissing, type MappedRun } from '../../kernel/memory.ts';
import { directMapStart, pageFrames } from '../../kernel/page-of.ts';
import { userMemory } from '../../kernel/user-memory.ts';
import { vmAreas } from '../../kernel/vm-areas.ts';
import { hasOption, lastValue, type ParsedArguments } from '../../lib/getopt.ts';
import { addressOf, parseAddress, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { printable } from '../format/hex-dump.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';

const kernelHalf = 0xffff_8000_0000_0000n;
const addressEnd = 1n << 64n;
const pieceBytes = 1 << 20;
const mostFound = 65_536;
const textShown = 56;

/** Bits of `mask` do not matter. */
type Word = { readonly value: bigint; readonly mask: bigint; readonly width: 2 | 4 | 8 };
/** What is looked for. */
type Needle = { readonly text: string } | Word;

type Run = { readonly address: bigint; readonly paddr: number; readonly length: number };

export const search: Command = {
  name: 'search',
  usage: '[-k | -u | -p] [-s start] [-e end | -l length] [-m mask] [-w | -h] [-c] value ...',
  summary: 'search memory for words or text',
  help: [
    '  -k -u -p   kernel memory, that of the process of the context, physical memory',
    '  -s -e -l   where it begins, and ends or how many bytes it goes on',
    '  -m MASK    bits that do not matter',
    '  -w -h      words of 32 and of 16 bits',
    '  -c         text',
    'search -k deadbeef      search -c sysrq-trigger',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 'kups:e:l:m:whc');
    const needles = needlesOf(parsed);
    let found = 0;
    for (const run of runsOf(session, parsed)) {
      for (const [address, line] of inRun(session, run, needles)) {
        yield `${hasOption(parsed, 'p') || hasOption(parsed, 'u') ? address.toString(16) : hex(address)}: ${line}`;
        if (++found < mostFound) continue;
        yield `search: more than ${mostFound} are found: the rest is not shown`;
        return;
      }
    }
  },
};

function needlesOf(parsed: ParsedArguments): Needle[] {
  if (parsed.positionals.length === 0) throw usageError('search: a value is expected');
  if (hasOption(parsed, 'c')) return parsed.positionals.map((text) => ({ text }));
  const width = hasOption(parsed, 'h') ? 2 : hasOption(parsed, 'w') ? 4 : 8;
  const mask = parseAddress(lastValue(parsed, 'm') ?? '0') ?? 0n;
  return parsed.positionals.map((word) => {
    const value = parseAddress(word);
    if (value === undefined) throw usageError(`search: ${word} is no hexadecimal value`);
    return { value, mask, width };
  });
}

/** What is searched: runs of contiguous physical memory, and the addresses that they are known by. */
function* runsOf(session: Session, parsed: ParsedArguments): Generator<Run> {
  const { kernel, dump } = session;
  const text = (name: string): bigint | undefined => {
    const value = lastValue(parsed, name);
    return value === undefined ? undefined : addressOf(session, value);
  };
  const from = text('s');
  const length = lastValue(parsed, 'l');
  const until = length === undefined ? text('e') : (from ?? 0n) + (parseAddress(length) ?? 0n);
  if (hasOption(parsed, 'p')) {
    const end = until ?? BigInt(pageFrames(kernel) ?? 0) << 12n;
    for (let at = from ?? 0n; at < end; at += BigInt(pieceBytes))
      yield { address: at, paddr: Number(at), length: Math.min(pieceBytes, Number(end - at)) };
    return;
  }
  if (hasOption(parsed, 'u')) {
    const memory = userMemory(kernel, dump.physical, session.task);
    const mm = session.task.mm;
    if (memory === undefined || isMissing(memory) || isMissing(mm)) return;
    for (const area of vmAreas(kernel, kernel.object('mm_struct', mm)).areas) {
      const [start, end] = [area.member('vm_start').integer(), area.member('vm_end').integer()];
      if (typeof start !== 'bigint' || typeof end !== 'bigint') continue;
      yield* clipped(memory.mappedRuns(start, end), from, until);
    }
    return;
  }
  // Without bounds: the direct map, which all memory is in, and the image; vmalloc's pages are in the former.
  const start = from ?? kernelHalf;
  const end = until ?? addressEnd;
  const memory = kernel.core.memory;
  const direct = directMapStart(kernel);
  const frames = pageFrames(kernel);
  if (from !== undefined || frames === undefined) yield* clipped(memory.mappedRuns(start, end), from, until);
  else {
    yield* clipped(memory.mappedRuns(direct, direct + (BigInt(frames) << 12n)), from, until);
    yield* clipped(memory.mappedRuns(0xffff_ffff_8000_0000n, addressEnd - 0x1000n), from, until);
  }
}

function* clipped(runs: Iterable<MappedRun>, from = 0n, until = addressEnd): Generator<Run> {
  for (const { vaddr, paddr, length } of runs) {
    const start = vaddr < from ? from : vaddr;
    const end = vaddr + BigInt(length) > until ? until : vaddr + BigInt(length);
    if (start < end)
      yield { address: start, paddr: paddr + Number(start - vaddr), length: Number(end - start) };
  }
}

function* inRun({ dump }: Session, run: Run, needles: readonly Needle[]): Generator<[bigint, string]> {
  const longest = Math.max(...needles.map((each) => ('text' in each ? each.text.length : 8)));
  const buffer = Buffer.allocUnsafeSlow(Math.min(pieceBytes + longest - 1, run.length));
  for (let done = 0; done < run.length; done += pieceBytes) {
    const length = Math.min(pieceBytes, run.length - done);
    // Text may go on into the next piece.
    const piece = buffer.subarray(0, Math.min(length + longest - 1, run.length - done));
    for (const [offset, bytes] of readable(dump.physical, run.paddr + done, piece)) {
      const base = run.address + BigInt(done + offset);
      for (const needle of needles)
        for (const at of places(bytes, needle)) {
          if (offset + at >= length) continue;
          yield [
            base + BigInt(at),
            'text' in needle
              ? printable(bytes.subarray(at, at + textShown))
              : wordText(bytes, at, needle.width),
          ];
        }
    }
  }
}

/** The piece at once; where some of it is missing, page by page what is there. Bytes are good until the next ones. */
function* readable(
  physical: Session['dump']['physical'],
  paddr: number,
  piece: Buffer,
): Generator<[offset: number, bytes: Buffer]> {
  if (physical.readInto(paddr, piece) === undefined) {
    yield [0, piece];
    return;
  }
  for (let at = 0; at < piece.length; at += 4096) {
    const page = piece.subarray(0, Math.min(4096, piece.length - at));
    if (physical.readInto(paddr + at, page) === undefined) yield [at, page];
  }
}

function* places(bytes: Buffer, needle: Needle): Generator<number> {
  if (!('text' in needle)) yield* wordPlaces(bytes, needle);
  else
    for (
      let at = bytes.indexOf(needle.text, 0, 'latin1');
      at >= 0;
      at = bytes.indexOf(needle.text, at + 1, 'latin1')
    )
      yield at;
}

function* wordPlaces(bytes: Buffer, word: Word): Generator<number> {
  const next = word.mask === 0n ? exactFinder(bytes, word) : maskedFinder(bytes, word);
  for (let i = next(0); i >= 0; i = next(i + 1)) yield i * word.width;
}

/** Index of the next word from an index on, -1 when there is none: words lie at multiples of their width. */
type Finder = (from: number) => number;

/** Compared as words, 4 GiB take half a second; a search for the same bytes loses its way among zeros. */
function exactFinder({ buffer, byteOffset, length }: Buffer, { value, width }: Word): Finder {
  const count = Math.floor(length / width);
  if (width === 8) {
    const words = new BigUint64Array(buffer, byteOffset, count);
    return (from) => words.indexOf(BigInt.asUintN(64, value), from);
  }
  const words = shortWords(buffer, byteOffset, count, width);
  const wanted = Number(BigInt.asUintN(width * 8, value));
  return (from) => words.indexOf(wanted, from);
}

/** By halves, since a bigint for each word would take a minute for 4 GiB. */
function maskedFinder({ buffer, byteOffset, length }: Buffer, { value, mask, width }: Word): Finder {
  const count = Math.floor(length / width);
  const keep = BigInt.asUintN(width * 8, ~mask);
  const [low, high] = [lowHalf(value & keep), lowHalf((value & keep) >> 32n)];
  const [keepLow, keepHigh] = [lowHalf(keep), lowHalf(keep >> 32n)];
  if (width === 8) {
    const halves = new Uint32Array(buffer, byteOffset, count * 2);
    return (from) => {
      for (let i = from; i < count; i++)
        if ((halves[2 * i]! & keepLow) === low && (halves[2 * i + 1]! & keepHigh) === high) return i;
      return -1;
    };
  }
  const words = shortWords(buffer, byteOffset, count, width);
  return (from) => {
    for (let i = from; i < count; i++) if ((words[i]! & keepLow) === low) return i;
    return -1;
  };
}

const shortWords = (buffer: ArrayBufferLike, from: number, count: number, width: 2 | 4) =>
  width === 4 ? new Uint32Array(buffer, from, count) : new Uint16Array(buffer, from, count);

/** As the operators of numbers have it: 32 bits with a sign. */
const lowHalf = (word: bigint): number => Number(BigInt.asIntN(32, word));

const wordText = (bytes: Buffer, at: number, width: Word['width']): string => {
  if (at + width > bytes.length) return '';
  const word = width === 8 ? bytes.readBigUInt64LE(at) : bytes.readUIntLE(at, width);
  return word.toString(16);
};
