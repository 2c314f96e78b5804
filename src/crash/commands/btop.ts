import { parseAddress, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';

const pageShift = 12n;

function converter(name: string, summary: string, convert: (value: bigint) => bigint): Command {
  return {
    name,
    usage: 'address ...',
    summary,
    help: `${name} 512a000`,
    *run(_session, args) {
      if (args.length === 0) throw usageError(`${name}: a value is expected`);
      for (const word of args) {
        const value = parseAddress(word);
        if (value === undefined) throw usageError(`${name}: ${word} is no hexadecimal value`);
        yield `${value.toString(16)}: ${convert(value).toString(16)}`;
      }
    },
  };
}

export const btop = converter('btop', 'bytes to page number', (value) => value >> pageShift);
export const ptob = converter('ptob', 'page number to bytes', (value) => value << pageShift);
