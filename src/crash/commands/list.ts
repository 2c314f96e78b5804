import { isMissing, type Missing } from '../../kernel/memory.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { addressOf, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { styleOf } from '../format/style.ts';
import type { Session } from '../session.ts';
import { hex, missingText } from '../text.ts';
import { offsetNamed, valueLines, wantedOf } from './struct.ts';

const mostEntries = 2 ** 22;

export const list: Command = {
  name: 'list',
  usage: '[[-o] offset] [-e end] [-s struct[.member[,member]] [-x|-d]] [-r] [-h|-H] start',
  summary: 'walk a linked list',
  help: [
    '  start          address of the first entry, or a symbol',
    '  -H             start is a list_head that is no entry: the walk begins behind it',
    '  -h             start is an entry, not its list_head: the offset is added to it',
    '  -o OFFSET      bytes, or struct.member, of the link in an entry; entries are then shown, not their links',
    '  -l OFFSET      bytes, or struct.member, of the link in the structure of -s',
    '  -s STRUCT      each entry as this structure, or members of it',
    '  -e END         where the walk ends',
    '  -r             backwards',
    '  -B             accepted: circles are always found',
    'list task_struct.tasks -s task_struct.pid,comm -h init_task',
    'list -H modules module.list -s module.name',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 'o:e:s:l:HhrxdB');
    for (const word of parsed.positionals) refuseCode(session, word);
    const [offset, start] = operands(session, parsed.positionals, lastValue(parsed, 'o'));
    const radix = hasOption(parsed, 'x') ? 16 : hasOption(parsed, 'd') ? 10 : session.settings.radix;
    const wanted = parsed.options
      .filter(({ name }) => name === 's')
      .map(({ value }) => wantedOf(session, 'struct', value!));
    // What is given with -l is where the link lies in the structure of -s.
    const link = lastValue(parsed, 'l');
    const within = BigInt(link === undefined ? 0 : offsetNamed(session, link));
    const end = lastValue(parsed, 'e');
    const isHead = hasOption(parsed, 'H');
    const walk = links(session, {
      start: hasOption(parsed, 'h') ? start + offset : start,
      skipFirst: isHead,
      back: hasOption(parsed, 'r'),
      end: end === undefined ? undefined : addressOf(session, end) + offset,
    });
    let empty = true;
    for (const step of walk) {
      if ('damage' in step) {
        yield `list: ${step.damage}`;
        return;
      }
      empty = false;
      // The links themselves, unless it is said what they lie in.
      const entry = step.at - offset - within;
      yield hex(entry);
      for (const each of wanted) yield* valueLines(styleOf(session, radix), each, entry);
    }
    if (empty) yield '(empty)';
  },
};

/** In gdb list shows source; who asks for that of a function is told where it is. @throws KdumpError `usage` */
function refuseCode({ kernel }: Session, word: string): void {
  const [start, end] = ['_stext', '_etext'].map((name) => kernel.symbol(name)?.address);
  const address = kernel.symbol(word)?.address;
  // Not every kernel tells the types of its symbols.
  if (address === undefined || !start || !end || address < start || address >= end) return;
  throw usageError(
    `list: ${word} is a function, not a list: dis ${word} shows its code, dis -s ${word} its source`,
  );
}

function operands(session: Session, words: readonly string[], option: string | undefined): [bigint, bigint] {
  const isOffset = (word: string): boolean =>
    (/^\w+\.[\w.]+$/.test(word) && session.kernel.symbol(word) === undefined) ||
    /^(0x)?[0-9a-f]{1,5}$/i.test(word);
  const named = option ?? (words.length > 1 ? words.find(isOffset) : undefined);
  const start = words.find((word) => word !== named || option !== undefined);
  if (start === undefined) throw usageError('list: the address of a list is expected');
  return [named === undefined ? 0n : BigInt(offsetNamed(session, named)), addressOf(session, start)];
}

type Walk = {
  readonly start: bigint;
  readonly skipFirst: boolean;
  readonly back: boolean;
  readonly end: bigint | undefined;
};

/** Link by link, until it comes back, or ends; where it does neither, what is wrong. */
function* links(
  { kernel }: Session,
  { start, skipFirst, back, end }: Walk,
): Generator<{ readonly at: bigint } | { readonly damage: string }> {
  const seen = new Set<bigint>([start]);
  const next = (at: bigint): bigint | Missing => kernel.core.u64(at + (back ? 8n : 0n));
  if (!skipFirst) yield { at: start };
  for (let at = start, count = 0; ; count++) {
    const to = next(at);
    if (isMissing(to)) {
      yield { damage: `the link at ${hex(at)} is not in the dump ${missingText(to)}` };
      return;
    }
    if (to === start || to === 0n || to === end) return;
    if (seen.has(to)) {
      yield {
        damage: `${hex(at)} leads back to ${hex(to)}, which is not the start: the list is a circle without its head`,
      };
      return;
    }
    if (count === mostEntries) {
      yield { damage: `more than ${mostEntries} entries: the rest is not shown` };
      return;
    }
    if (isMissing(next(to))) {
      yield { damage: `${hex(at)} leads to ${hex(to)}, which is not in the dump` };
      return;
    }
    seen.add(to);
    yield { at: to };
    at = to;
  }
}
