import { isMissing, type Missing, type VirtualMemory } from '../../kernel/memory.ts';
import { userMemory } from '../../kernel/user-memory.ts';
import { KdumpError } from '../../lib/errors.ts';
import { hasOption, lastValue, type ParsedArguments } from '../../lib/getopt.ts';
import { addressOf, parseAddress, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { type HexDumpOptions, hexDump, printable } from '../format/hex-dump.ts';
import { nameOfAddress } from '../format/style.ts';
import type { Session } from '../session.ts';
import { hex, missingText } from '../text.ts';

type Read = (address: bigint, length: number) => Uint8Array | Missing;

const widths: Readonly<Record<string, string>> = { '-8': '-b', '-16': '-h', '-32': '-w', '-64': '-q' };
const asciiPerLine = 60;
const mostWords = 2 ** 20;
/** Bytes of one file. */
const mostSaved = 2 ** 40;

export const rd: Command = {
  name: 'rd',
  usage: '[-adDsSupx] [-8|-16|-32|-64] [-o offset] [-e address] [-r file] [address|symbol] [count]',
  summary: 'read memory',
  help: [
    '  -8 -16 -32 -64  bits of a word; 64 unless told',
    '  -d -D           decimal, signed or unsigned',
    '  -s              symbols in place of addresses that have one',
    '  -S              the same, and the slab cache in brackets; twice: with the address',
    '  -a              text up to its NUL',
    '  -x              no ASCII at the end of a line',
    '  -p -u           the address is physical, or of the task of the context',
    '  -o OFFSET       added to the address',
    '  -e ADDRESS      end, in place of a count',
    '  -r FILE         into a file as it is, count bytes; what is missing ends it, and is said',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(
      args.map((word) => widths[word] ?? word),
      'bhwqadDsSpuxo:e:r:',
    );
    const has = (letter: string): boolean => hasOption(parsed, letter);
    const [where, howMany] = parsed.positionals;
    if (where === undefined) throw usageError('rd: an address or a symbol is expected');
    const start = addressOf(session, where) + offsetOf(parsed);
    const read = readerOf(session, has('p') ? 'physical' : has('u') ? 'user' : 'kernel');
    const shown = has('p') || has('u') ? (at: bigint) => at.toString(16).padStart(16) : hex;
    if (has('a')) {
      yield* text(read, start, howMany === undefined ? undefined : wordsOf(howMany), shown);
      return;
    }
    const file = lastValue(parsed, 'r');
    if (file !== undefined) {
      yield* save(session, file, read, start, countOf(parsed, start, 1, howMany, mostSaved));
      return;
    }
    const width = has('b') ? 1 : has('h') ? 2 : has('w') ? 4 : 8;
    const named = has('s') || has('S');
    const options: HexDumpOptions = {
      width,
      count: countOf(parsed, start, width, howMany),
      base: has('D') ? 'unsigned' : has('d') ? 'signed' : 'hex',
      ascii: !named && !has('x') && !has('d') && !has('D'),
      ...(named && { symbol: symbolic(session, parsed.options.filter(({ name }) => name === 'S').length) }),
    };
    yield* hexDump(read, start, shown, options);
  },
};

function offsetOf(parsed: ParsedArguments): bigint {
  const value = lastValue(parsed, 'o');
  return value === undefined ? 0n : (parseAddress(value) ?? 0n);
}

function countOf(
  parsed: ParsedArguments,
  start: bigint,
  width: number,
  howMany: string | undefined,
  most = mostWords,
): number {
  const end = lastValue(parsed, 'e');
  if (end === undefined) return howMany === undefined ? 1 : wordsOf(howMany, most);
  const bytes = (parseAddress(end) ?? start) - start;
  if (bytes <= 0n) throw usageError(`rd: the end ${end} is not behind the start`);
  return Math.min(most, Math.ceil(Number(bytes) / width));
}

/** A count: decimal, or hexadecimal with 0x. */
export function wordsOf(text: string, most = mostWords): number {
  const count = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : 0;
  if (count < 1 || count > most) throw usageError(`${text} is no count between 1 and ${most}`);
  return count;
}

/** Bytes that are read and written at once when memory goes into a file. */
const pieceBytes = 65_536;

function* save(session: Session, path: string, read: Read, start: bigint, count: number): Generator<string> {
  const file = session.saveFile?.(path);
  if (file === undefined) throw usageError('rd: files cannot be written here');
  let done = 0;
  let lost: Missing | undefined;
  try {
    while (done < count && lost === undefined) {
      // A piece never crosses from a page that may be there to one that may be missing.
      const inPage = 4096 - Number((start + BigInt(done)) & 0xfffn);
      const large = read(start + BigInt(done), Math.min(pieceBytes, count - done));
      const bytes = isMissing(large) ? read(start + BigInt(done), Math.min(inPage, count - done)) : large;
      if (isMissing(bytes)) lost = bytes;
      else {
        file.write(bytes);
        done += bytes.length;
      }
    }
  } finally {
    file.close();
  }
  yield `${done} bytes copied from 0x${start.toString(16)} to ${path}`;
  if (lost !== undefined)
    yield `rd: 0x${(start + BigInt(done)).toString(16)} cannot be read ${missingText(lost)}: the file ends there`;
}

/** Reads kernel memory, physical memory, or that of the context's process. */
export function readerOf(session: Session, kind: 'kernel' | 'physical' | 'user'): Read {
  if (kind === 'physical')
    return (address, length) => {
      const bytes = new Uint8Array(length);
      return session.dump.physical.readInto(Number(address), bytes) ?? bytes;
    };
  const memory = memoryOf(session, kind);
  return (address, length) => memory.read(address, length);
}

/** Memory of the kernel, or of the context's process. @throws KdumpError `usage`, `missing` */
export function memoryOf(session: Session, kind: 'kernel' | 'user'): VirtualMemory {
  const { kernel, dump } = session;
  if (kind === 'kernel') return kernel.core.memory;
  const memory = userMemory(kernel, dump.physical, session.task);
  if (memory === undefined) throw usageError('the task of the context has no memory of its own');
  if (isMissing(memory))
    throw new KdumpError('missing', `the page tables of the context's process: ${missingText(memory)}`);
  return memory;
}

function symbolic({ kernel }: Session, slabs: number): (word: bigint) => string | undefined {
  const map = kernel.memoryMap;
  return (word) => {
    const name = nameOfAddress(kernel, word);
    if (name !== undefined || slabs === 0) return name;
    const object = map.isDirect(word) ? map.objectAt(word) : undefined;
    if (object === undefined) return undefined;
    return slabs > 1 ? `[${word.toString(16)}:${object.cache}]` : `[${object.cache}]`;
  };
}

function* text(
  read: Read,
  start: bigint,
  limit: number | undefined,
  address: (at: bigint) => string,
): Generator<string> {
  const most = limit ?? 65_536;
  let line = '';
  let at = start;
  for (let done = 0; done < most; done++) {
    const byte = read(start + BigInt(done), 1);
    if (isMissing(byte)) {
      line += missingText(byte);
      break;
    }
    const isText = byte[0]! >= 0x20 && byte[0]! < 0x7f;
    if (limit === undefined && !isText) break;
    line += printable(byte);
    if (line.length < asciiPerLine) continue;
    yield `${address(at)}:  ${line}`;
    at = start + BigInt(done + 1);
    line = '';
  }
  if (line !== '') yield `${address(at)}:  ${line}`;
}
