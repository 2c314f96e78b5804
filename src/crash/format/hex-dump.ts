import { isMissing, type Missing } from '../../kernel/memory.ts';
import { missingText } from '../text.ts';

export type HexDumpOptions = {
  /** Bytes of a word. */
  readonly width: 1 | 2 | 4 | 8;
  /** Words. */
  readonly count: number;
  readonly base: 'hex' | 'signed' | 'unsigned';
  readonly ascii: boolean;
  /** What a word of 8 bytes is called; undefined when it is just a number. */
  readonly symbol?: (word: bigint) => string | undefined;
};

const bytesOfLine = 16;

/** Memory as rd of crash(8) shows it: 16 bytes a line. What cannot be read is said in its place, word by word. */
export function* hexDump(
  read: (address: bigint, length: number) => Uint8Array | Missing,
  start: bigint,
  address: (at: bigint) => string,
  options: HexDumpOptions,
): Generator<string> {
  const { width, count, base, ascii } = options;
  const perLine = bytesOfLine / width;
  const column = base === 'hex' ? width * 2 : { 1: 4, 2: 6, 4: 10, 8: 15 }[width];
  for (let done = 0; done < count; done += perLine) {
    const at = start + BigInt(done * width);
    const words = Math.min(perLine, count - done);
    const line = read(at, words * width);
    const columns: string[] = [];
    let text = '';
    for (let i = 0; i < words; i++) {
      const inLine = isMissing(line)
        ? read(at + BigInt(i * width), width)
        : line.subarray(i * width, (i + 1) * width);
      columns.push(isMissing(inLine) ? missingText(inLine).padEnd(column) : wordOf(inLine, column, options));
      text += isMissing(inLine) ? '?'.repeat(width) : printable(inLine);
    }
    const padding = ascii ? ' '.repeat((perLine - words) * (column + 1)) : '';
    yield `${address(at)}:  ${columns.join(' ')} ${padding}${ascii ? `  ${text}` : ''}`;
  }
}

function wordOf(bytes: Uint8Array, column: number, { width, base, symbol }: HexDumpOptions): string {
  let value = 0n;
  for (let i = width - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  const name = width === 8 ? symbol?.(value) : undefined;
  if (name !== undefined) return name.padEnd(column);
  if (base === 'hex') return value.toString(16).padStart(width * 2, '0');
  return (base === 'signed' ? BigInt.asIntN(width * 8, value) : value).toString().padStart(column);
}

/** Characters of ASCII; dots for all else. */
export const printable = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
