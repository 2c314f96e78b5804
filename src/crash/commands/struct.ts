import type { CType } from '../../kernel/ctype.ts';
import { KdumpError } from '../../lib/errors.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { addressOf, cpusOf, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { layoutLines, memberLayout, nameOf } from '../format/declaration.ts';
import { hexDump } from '../format/hex-dump.ts';
import { pointedLines } from '../format/pointed.ts';
import { styleOf } from '../format/style.ts';
import { printValue, type ValueStyle } from '../format/value.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';
import { memoryOf, wordsOf } from './rd.ts';

/** Members of a structure that are asked for, and what it is of. */
export type Wanted = { readonly type: CType; readonly members: readonly string[] };

/** 'task_struct.pid,comm': a type and, behind a dot, members of it. @throws KdumpError `no-type`, `no-member` */
export function wantedOf(session: Session, command: string, text: string): Wanted {
  const dot = text.indexOf('.');
  const name = dot < 0 ? text : text.slice(0, dot);
  const tag = command === 'union' ? 'union ' : '';
  const type = session.kernel.type(`${tag}${name}`) ?? session.kernel.type(name);
  const bare = type?.bare;
  if (type === undefined || bare === undefined || (bare.kind !== 'struct' && bare.kind !== 'union'))
    throw new KdumpError('no-type', `invalid data structure reference: ${name}`);
  const members =
    dot < 0
      ? []
      : text
          .slice(dot + 1)
          .split(',')
          .filter((member) => member !== '');
  for (const member of members)
    if (bare.place(member) === undefined)
      throw new KdumpError('no-member', `${name} has no member ${member} in this kernel`);
  return { type, members };
}

/** A structure at an address, or members of it, each on lines of its own. */
export function* valueLines(
  style: ValueStyle,
  { type, members }: Wanted,
  address: bigint,
): Generator<string> {
  if (members.length === 0) {
    yield* `${nameOf(type)} ${printValue(style, type, address)}`.split('\n');
    return;
  }
  const bare = type.bare;
  const last = bare.members.at(-1)?.name;
  for (const path of members) {
    const place = bare.place(path)!;
    const value = printValue(style, place.type, address + BigInt(place.offset), place.bitField, 1);
    yield* `  ${path} = ${value}${path === last || path.includes('.') ? '' : ','}`.split('\n');
  }
}

export const struct: Command = {
  name: 'struct',
  aliases: ['union', '*'],
  usage: 'NAME[.member[,member]] [-o] [-l offset] [-r] [-p] [-u] [-x|-d] [address|symbol[:cpus]] [count]',
  summary: 'the layout of a structure, or one in memory',
  help: [
    '  -o           offsets of members; with an address, where they lie',
    '  -l OFFSET    the address is that of a member at this offset, or of this member (struct.member)',
    '  -r           the bytes as they are',
    '  -p           pointers with their types, and what they lead to',
    '  -u           the address is one of the process of the context',
    '  -d -x        integers decimal, or hexadecimal',
    '  -c COUNT     that many, one behind the other',
    'An address must be that of such a structure: of any other one shows what would be its members, which is garbage.',
    'The name of a structure alone is enough for most: list_head, *list_head, task_struct.pid init_task.',
    'struct task_struct.pid,comm init_task',
    'struct -o list_head',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 'ol:rpuxdc:');
    const [text, where, howMany] = parsed.positionals;
    if (text === undefined) throw usageError('struct: the name of a structure is expected');
    const wanted = wantedOf(session, 'struct', text);
    const radix = hasOption(parsed, 'x') ? 16 : hasOption(parsed, 'd') ? 10 : session.settings.radix;
    const offsets = hasOption(parsed, 'o');
    if (where === undefined) {
      yield* declared(wanted, offsets, radix === 16);
      return;
    }
    const count = lastValue(parsed, 'c') ?? howMany;
    const source = hasOption(parsed, 'u') ? 'user' : 'kernel';
    const memory = memoryOf(session, source);
    const style = { ...styleOf(session, radix), memory };
    const size = BigInt(wanted.type.size);
    for (const [i, { label, address }] of [...placesOf(session, where)].entries()) {
      const start = address - listOffset(session, lastValue(parsed, 'l'));
      if (label !== undefined) yield label;
      else if (i > 0) yield '';
      for (let n = 0; n < (count === undefined ? 1 : wordsOf(count)); n++) {
        const at = start + BigInt(n) * size;
        if (n > 0 && wanted.members.length === 0) yield '';
        if (offsets) yield* declared(wanted, true, false, at);
        else if (hasOption(parsed, 'r'))
          yield* hexDump((place, length) => memory.read(place, length), at, hex, {
            width: 8,
            count: Math.ceil(wanted.type.size / 8),
            base: 'hex',
            ascii: true,
          });
        else if (hasOption(parsed, 'p')) yield* pointedLines(style, wanted.type, wanted.members, at);
        else yield* valueLines(style, wanted, at);
      }
    }
  },
};

function* declared(
  { type, members }: Wanted,
  offsets: boolean,
  isHex: boolean,
  base?: bigint,
): Generator<string> {
  const bare = type.bare;
  const options = { offsets, base, hex: isHex };
  if (members.length === 0) {
    if (type.kind === 'typedef' && bare.name !== '') yield `typedef ${nameOf(bare)} ${type.name};`;
    else yield* layoutLines(bare, options);
    return;
  }
  for (const member of members) yield* memberLayout(bare, member, options)!;
}

/** The address, or those of each CPU's own copy: 'runqueues:0,1'. */
function* placesOf(
  session: Session,
  text: string,
): Generator<{ label: string | undefined; address: bigint }> {
  const [, symbol, cpus] = /^([\w.$]+|0x[0-9a-f]+):(.+)$/.exec(text) ?? [];
  if (symbol === undefined || session.kernel.symbol(text) !== undefined) {
    yield { label: undefined, address: addressOf(session, text) };
    return;
  }
  for (const cpu of cpusOf(session, cpus!)) {
    const address = session.kernel.core.perCpuAddress(addressOf(session, symbol), cpu);
    if (typeof address === 'bigint') yield { label: `[${cpu}]: ${hex(address)}`, address };
  }
}

function listOffset(session: Session, text: string | undefined): bigint {
  return text === undefined ? 0n : BigInt(offsetNamed(session, text));
}

/** An offset: a number of bytes, or 'struct.member'. @throws KdumpError `usage`, `no-type`, `no-member` */
export function offsetNamed(session: Session, text: string): number {
  if (/^(\d+|0x[0-9a-f]+)$/i.test(text)) return Number(text);
  const { type, members } = wantedOf(session, 'struct', text);
  if (members.length !== 1) throw usageError(`${text} is neither an offset nor a member of a structure`);
  return type.bare.place(members[0]!)!.offset;
}
