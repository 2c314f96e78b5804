// Our dump against the C tool's.
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { openKdump, setBits } from '../../helpers/kdump-reader.ts';
import { inKnownWords } from './known-words.ts';

/**
 * Same pages, same content, same description; where the codecs' libraries are the same, the very same bytes.
 * @param partial frames of which the vmcore has a part only: the C tool leaves them out, we keep them
 */
export function expectSameDump(ourPath: string, theirPath: string, partial: readonly number[] = []): void {
  const [ours, theirs] = [openKdump(ourPath), openKdump(theirPath)];
  try {
    expect(framesOfDifference(ours.bitmap1, theirs.bitmap1), 'bitmap 1').toEqual(partial);
    expect(framesOfDifference(ours.bitmap2, theirs.bitmap2), 'frames that only one of the two kept').toEqual(
      partial.filter((pfn) => (ours.bitmap2[pfn >> 3]! & (1 << (pfn & 7))) !== 0),
    );
    expect(inKnownWords(ours.notes.toString('latin1')), 'notes').toBe(theirs.notes.toString('latin1'));
    const facts = ({
      utsname,
      crashTime,
      nrCpus,
      maxMapnr64,
      physBase,
      dumpLevel,
      status,
      vmcoreinfo,
    }: typeof ours) => ({
      utsname,
      crashTime,
      nrCpus,
      maxMapnr64,
      physBase,
      dumpLevel,
      status,
      vmcoreinfo: inKnownWords(vmcoreinfo),
    });
    expect(facts(ours)).toEqual(facts(theirs));
    if (ours.size === theirs.size && readFileSync(ourPath).equals(readFileSync(theirPath))) return;
    const inOurs = new Map(setBits(ours.bitmap2).map((pfn, index) => [pfn, index]));
    const different = setBits(theirs.bitmap2).filter(
      (pfn, index) => !ours.page(inOurs.get(pfn)!).equals(theirs.page(index)),
    );
    expect(different, 'frames whose content differs').toEqual([]);
  } finally {
    ours.close();
    theirs.close();
  }
}

function framesOfDifference(a: Buffer, b: Buffer): number[] {
  return a.equals(b) ? [] : setBits(a.map((byte, i) => byte ^ b[i]!)).slice(0, 20);
}
