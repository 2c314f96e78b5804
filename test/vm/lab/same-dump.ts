// Our dump against the C tool's.
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { openKdump, setBits } from '../../helpers/kdump-reader.ts';
import { inKnownWords } from './known-words.ts';

/** Same pages, same content, same description; where the codecs' libraries are the same, the very same bytes. */
export function expectSameDump(ourPath: string, theirPath: string): void {
  const [ours, theirs] = [openKdump(ourPath), openKdump(theirPath)];
  try {
    expect(ours.bitmap1.equals(theirs.bitmap1), 'bitmap 1').toBe(true);
    expect(framesOfDifference(ours.bitmap2, theirs.bitmap2), 'frames that only one of the two kept').toEqual(
      [],
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
    const frames = setBits(ours.bitmap2);
    const different = frames.filter((_, index) => !ours.page(index).equals(theirs.page(index)));
    expect(different, 'frames whose content differs').toEqual([]);
  } finally {
    ours.close();
    theirs.close();
  }
}

function framesOfDifference(a: Buffer, b: Buffer): number[] {
  return a.equals(b) ? [] : setBits(a.map((byte, i) => byte ^ b[i]!)).slice(0, 20);
}
