import { headerLayout } from '../../formats/diskdump.ts';
import { KdumpError } from '../../lib/errors.ts';
import { type KdumpPart, reader } from './kdump-part.ts';

/**
 * Puts the parts of a dump in order, whatever order they were given in. A whole dump is one part.
 * @param partial takes a set that is not whole, too
 * @throws KdumpError `split-set` naming the part that does not belong, or the page frames that no part holds
 */
export function orderParts(parts: readonly KdumpPart[], partial = false): KdumpPart[] {
  const [first] = parts;
  if (first === undefined) throw new KdumpError('usage', 'no dump was given');
  for (const part of parts) {
    const { path } = part.file;
    if (parts.length > 1 && !part.header.split)
      throw wrong(`${path} is a whole dump, no part of a split set`, { path });
    if (!sameHeader(part, first))
      throw wrong(`${path} and ${first.file.path} are not parts of the same dump: their headers differ`, {
        path,
      });
  }
  const sorted = [...parts].sort((a, b) => a.start - b.start || a.end - b.end);
  let next = 0;
  for (const part of sorted) {
    const { path } = part.file;
    if (part.start > next && !partial) throw lost(next, part.start, `${path} begins at ${part.start}`);
    if (part.start < next)
      throw wrong(`${path} holds page frames from ${part.start} on, which another part holds, too`, { path });
    next = part.end;
  }
  const { maxMapnr } = first.header;
  if (next < maxMapnr && !partial)
    throw lost(next, maxMapnr, `the dump has ${maxMapnr}, ${sorted.at(-1)!.file.path} ends at ${next}`);
  return sorted;
}

/** Whether two headers say the same; one of the parts may have met a full disk. */
function sameHeader(a: KdumpPart, b: KdumpPart): boolean {
  const [one, other] = [a, b].map((part) => {
    const bytes = Buffer.from(reader(part.file)(0, headerLayout.size));
    return bytes.fill(0, statusAt, statusAt + 4);
  });
  return one!.equals(other!);
}

const statusAt = headerLayout.fields.status[0];

const lost = (from: number, to: number, why: string): KdumpError =>
  wrong(`no part holds page frames ${from} to ${to - 1}: ${why}`, { from, to });

const wrong = (what: string, facts: Record<string, string | number>): KdumpError =>
  new KdumpError('split-set', what, { fix: 'Give all parts of one split dump together.', facts });
