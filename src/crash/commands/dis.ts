import { isMissing } from '../../kernel/memory.ts';
import { hasOption } from '../../lib/getopt.ts';
import { addressOf, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { decode, type Instruction, loadDecoder } from '../dis/decoder.ts';
import { sourceLines } from '../dis/source.ts';
import { nameOfAddress } from '../format/style.ts';
import type { Session } from '../session.ts';
import { missingText } from '../text.ts';
import { readerOf, wordsOf } from './rd.ts';

/** Of x86. */
const longestInstruction = 15;
/** Of what has no symbol that would tell its end. */
const bytesWithoutSymbol = 4096;
const mostBytes = 2 ** 20;

export const dis: Command = {
  name: 'dis',
  usage: '[-r | -f] [-l] [-x|-d] [-u] [address|symbol[+offset]] [count] | -s address|symbol[+offset] [count]',
  summary: 'disassemble',
  help: [
    'A symbol alone is its whole function; an address, one instruction.',
    '  -r  from the start of the function to the address',
    '  -f  from the address to the end of the function',
    '  -l  with source lines, when a vmlinux with debug information was given',
    '  -s  the source in place of the code: file and line by a vmlinux with debug information, and the text of',
    '      its function where the file is there: next to the vmlinux, as in a tree that a kernel was built in, or',
    '      below the directory of --src; with a count, that many lines behind the line',
    '  -x -d  offsets in hexadecimal, in decimal',
    '  -u  memory of the process of the context',
  ].join('\n'),
  prepare: loadDecoder,
  *run(session, args) {
    const parsed = parseFlags(args, 'rflxdus');
    const [where, howMany] = parsed.positionals;
    if (where === undefined) throw usageError('dis: an address or a symbol is expected');
    const address = addressOf(session, where.replace(/^\((.*)\)$/, '$1').replace(/\s+/g, ''));
    if (hasOption(parsed, 's')) {
      yield* sourceLines(session, where, address, howMany === undefined ? undefined : wordsOf(howMany));
      return;
    }
    const place = session.kernel.symbolAt(address);
    const start = place === undefined ? address : address - BigInt(place.offset);
    const end =
      place === undefined
        ? address + BigInt(bytesWithoutSymbol)
        : start + BigInt(Math.min(place.size, mostBytes));
    const isWhole =
      place?.offset === 0 && /^[a-z_]/i.test(where) && session.kernel.symbol(where) !== undefined;
    const reverse = hasOption(parsed, 'r');
    const forward = hasOption(parsed, 'f');
    const count =
      howMany !== undefined ? wordsOf(howMany) : isWhole || reverse || forward ? Number.MAX_SAFE_INTEGER : 1;
    const options: Options = {
      from: reverse ? start : address,
      // A count goes on beyond the end of the function.
      to: howMany === undefined || reverse || forward ? end : address + BigInt(count * longestInstruction),
      last: reverse ? address : undefined,
      count: reverse ? Number.MAX_SAFE_INTEGER : count,
      radix: hasOption(parsed, 'x') ? 16 : hasOption(parsed, 'd') ? 10 : session.settings.radix,
      user: hasOption(parsed, 'u'),
      lines: hasOption(parsed, 'l'),
    };
    yield* instructions(session, options);
    if (options.lines && session.namelist === undefined)
      yield 'dis: source lines are in a vmlinux with debug information, and none was given';
  },
};

type Options = {
  readonly from: bigint;
  readonly to: bigint;
  /** Address of the last instruction that is shown. */
  readonly last: bigint | undefined;
  readonly count: number;
  readonly radix: 10 | 16;
  readonly user: boolean;
  readonly lines: boolean;
};

function* instructions(session: Session, options: Options): Generator<string> {
  const { from, to, last, radix } = options;
  const read = readerOf(session, options.user ? 'user' : 'kernel');
  let line: string | undefined;
  let shown = 0;
  const filling: Instruction[] = [];
  for (let at = from; at < to && shown < options.count; ) {
    // To the end of a page: what follows may be missing. An instruction may reach over it.
    const want = Math.min(Number(to - at), 4096 - Number(at & 0xfffn));
    const code = read(at, want);
    if (isMissing(code)) {
      yield `0x${at.toString(16)}:\t${missingText(code)}`;
      return;
    }
    const rest = at + BigInt(want) < to ? read(at + BigInt(want), longestInstruction) : undefined;
    const bytes = rest === undefined || isMissing(rest) ? code : Buffer.concat([code, rest]);
    const end = at + BigInt(want);
    for (const each of decode(bytes, at)) {
      if (each.address >= end || each.address >= to || shown === options.count) break;
      // What fills the room up to the next function is no part of this one.
      if (/^(nop|xchg +%ax,%ax|int3|cs nop|data16)/.test(each.text)) {
        filling.push(each);
        at = each.address + BigInt(each.bytes);
        if (last === undefined || each.address < last) continue;
      }
      const earlier = filling.splice(0).filter((filler) => filler !== each);
      for (const instruction of [...earlier, each]) {
        const source = options.lines ? session.namelist?.sourceLine(instruction.address) : undefined;
        if (source !== undefined && source !== line) yield source;
        line = source ?? line;
        yield instructionText(session, instruction, radix);
        if (++shown === options.count) return;
      }
      at = each.address + BigInt(each.bytes);
      if (last !== undefined && each.address >= last) return;
    }
    if (at < end && shown < options.count) return;
  }
}

function instructionText(
  { kernel }: Session,
  { address, text, target, data }: Instruction,
  radix: 10 | 16,
): string {
  const named = (where: bigint): string => {
    const name = nameOfAddress(kernel, where, radix);
    return name === undefined ? '' : ` <${name}>`;
  };
  const operand = target === undefined ? '' : named(target);
  const comment = data === undefined ? '' : `        # 0x${data.toString(16)}${named(data)}`;
  // What a function begins with when nobody traces it.
  const isTracePoint = text === 'nopl   0x0(%rax,%rax,1)' && kernel.symbolAt(address)?.offset === 0;
  const note = isTracePoint ? ' [FTRACE NOP]' : '';
  return `0x${address.toString(16)}${named(address)}:\t${text.trimEnd()}${operand}${comment}${note}`;
}
