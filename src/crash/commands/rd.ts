import { isMissing, type Missing } from '../../kernel/memory.ts';
import { userMemory } from '../../kernel/user-memory.ts';
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

export const rd: Command = {
  name: 'rd',
  usage: '[-adDsSupx] [-8|-16|-32|-64] [-o offset] [-e address] [address|symbol] [count]',
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
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(
      args.map((word) => widths[word] ?? word),
      'bhwqadDsSpuxo:e:',
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

function countOf(parsed: ParsedArguments, start: bigint, width: number, howMany: string | undefined): number {
  const end = lastValue(parsed, 'e');
  if (end === undefined) return howMany === undefined ? 1 : wordsOf(howMany);
  const bytes = (parseAddress(end) ?? start) - start;
  if (bytes <= 0n) throw usageError(`rd: the end ${end} is not behind the start`);
  return Math.min(mostWords, Math.ceil(Number(bytes) / width));
}

/** A count: decimal, or hexadecimal with 0x. */
export function wordsOf(text: string): number {
  const count = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : 0;
  if (count < 1 || count > mostWords) throw usageError(`${text} is no count between 1 and ${mostWords}`);
  return count;
}

/** Reads kernel memory, physical memory, or that of the context's process. */
export function readerOf(session: Session, kind: 'kernel' | 'physical' | 'user'): Read {
  const { kernel, dump } = session;
  if (kind === 'kernel') return (address, length) => kernel.core.memory.read(address, length);
  if (kind === 'physical')
    return (address, length) => {
      const bytes = new Uint8Array(length);
      return dump.physical.readInto(Number(address), bytes) ?? bytes;
    };
  const memory = userMemory(kernel, dump.physical, session.task);
  if (memory === undefined) throw usageError('rd: the task of the context has no memory of its own');
  return (address, length) => (isMissing(memory) ? memory : memory.read(address, length));
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
