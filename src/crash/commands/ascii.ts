import { usageError } from '../arguments.ts';
import type { Command } from '../command.ts';

const names = [
  [
    'NUL',
    'SOH',
    'STX',
    'ETX',
    'EOT',
    'ENQ',
    'ACK',
    'BEL',
    ' BS',
    ' HT',
    ' LF',
    ' VT',
    ' FF',
    ' CR',
    ' SO',
    ' SI',
  ],
  [
    'DLE',
    'DC1',
    'DC2',
    'DC3',
    'DC4',
    'NAK',
    'SYN',
    'ETB',
    'CAN',
    ' EM',
    'SUB',
    'ESC',
    ' FS',
    ' GS',
    ' RS',
    ' US',
  ],
] as const;

export const ascii: Command = {
  name: 'ascii',
  usage: '[value ...]',
  summary: 'hexadecimal values as text, or the table of characters',
  help: 'ascii 62696c2f7273752f',
  *run(_session, args) {
    if (args.length === 0) yield* table();
    for (const word of args) {
      if (!/^(0x)?[0-9a-f]{1,16}$/i.test(word))
        throw usageError(`ascii: ${word} is no 64-bit hexadecimal value`);
      yield `${word.replace(/^0x/i, '')}: ${textOf(BigInt(`0x${word.replace(/^0x/i, '')}`))}`;
    }
  },
};

/** Characters of a word as they lie in memory: the lowest byte first. */
function textOf(value: bigint): string {
  let text = '';
  for (let rest = value; rest !== 0n; rest >>= 8n) {
    const byte = Number(rest & 0xffn);
    const name = byte < 32 ? names[byte >> 4]![byte & 15]!.trim() : byte === 127 ? 'DEL' : undefined;
    text +=
      name === undefined ? (byte < 127 ? String.fromCharCode(byte) : `<${byte.toString(16)}>`) : `<${name}>`;
  }
  return text;
}

function* table(): Generator<string> {
  yield '';
  yield '      0    1   2   3   4   5   6   7';
  yield '    +-------------------------------';
  for (let low = 0; low < 16; low++) {
    const columns = [2, 3, 4, 5, 6, 7].map((high) => {
      const byte = high * 16 + low;
      return byte === 0x20 ? ' SP' : byte === 0x7f ? 'DEL' : ` ${String.fromCharCode(byte)} `;
    });
    yield `  ${low.toString(16).toUpperCase()} | ${names[0][low]} ${names[1][low]} ${columns.join(' ')}`.trimEnd();
  }
  yield '';
}
