import { walkMapleTree } from '../../kernel/maple-tree.ts';
import { isMissing } from '../../kernel/memory.ts';
import { walkRbTree } from '../../kernel/rbtree.ts';
import { xarrayEntries } from '../../kernel/xarray.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { addressOf, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { styleOf } from '../format/style.ts';
import type { Session } from '../session.ts';
import { hex, missingText } from '../text.ts';
import { offsetNamed, valueLines, wantedOf } from './struct.ts';

export const tree: Command = {
  name: 'tree',
  usage: '[-t rbtree|radix|xarray|maple] [-o offset] [-s struct[.member[,member]]] [-x|-d] start',
  summary: 'the entries of a tree',
  help: [
    '  -t KIND    of which kind; rbtree unless told',
    '  -o OFFSET  of the rb_node in an entry: bytes, or struct.member',
    '  -r START   the same as START alone, as crash(8) has it',
    '  -s STRUCT  each entry as this structure, or members of it',
    'start is the address or the symbol of the root: rb_root, radix_tree_root, xarray, maple_tree.',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 't:o:s:xdr:');
    const where = parsed.positionals[0] ?? lastValue(parsed, 'r');
    if (where === undefined) throw usageError('tree: the root of a tree is expected');
    const offset = lastValue(parsed, 'o');
    const radix = hasOption(parsed, 'x') ? 16 : hasOption(parsed, 'd') ? 10 : session.settings.radix;
    const wanted = parsed.options
      .filter(({ name }) => name === 's')
      .map(({ value }) => wantedOf(session, 'struct', value!));
    const { entries, damage } = entriesOf(
      session,
      lastValue(parsed, 't') ?? 'rbtree',
      addressOf(session, where),
    );
    for (const each of entries) {
      const entry = each - BigInt(offset === undefined ? 0 : offsetNamed(session, offset));
      yield hex(entry);
      for (const type of wanted) yield* valueLines(styleOf(session, radix), type, entry);
    }
    if (damage !== undefined) yield `tree: ${damage}`;
  },
};

function entriesOf(
  { kernel }: Session,
  kind: string,
  root: bigint,
): { entries: readonly bigint[]; damage: string | undefined } {
  const { core } = kernel;
  const lost = 'some of it cannot be reached in the dump, or is damaged: what could be reached is above';
  if (/^rb/.test(kind)) {
    const { nodes, missing, broken } = walkRbTree(core.memory, root);
    return { entries: nodes, damage: broken || missing.length > 0 ? lost : undefined };
  }
  if (/^ma/.test(kind)) {
    const { ranges, missing } = walkMapleTree(core, root);
    return { entries: ranges.map(({ entry }) => entry), damage: missing.length > 0 ? lost : undefined };
  }
  if (!/^(ra|xa)/.test(kind))
    throw usageError(`tree: ${kind} is no kind of tree: rbtree, radix, xarray, maple`);
  const head = kernel.object('xarray', root).member('xa_head').integer();
  if (isMissing(head)) return { entries: [], damage: `the root is not in the dump ${missingText(head)}` };
  return { entries: [...xarrayEntries(core, head)].map(({ entry }) => entry), damage: undefined };
}
