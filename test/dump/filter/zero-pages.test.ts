import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clearZeroPages } from '../../../src/dump/filter/zero-pages.ts';
import { FileBytes } from '../../../src/dump/input/bytes.ts';
import { ElfSource } from '../../../src/dump/input/elf-source.ts';
import { PageBitmap } from '../../../src/lib/bitmap.ts';
import { buildVmcore, pageSize } from '../../helpers/vmcore.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'zero-pages-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What a page has: nothing, a byte at its start, its end, or its ninth. */
function content(pfn: number): Uint8Array | undefined {
  const page = new Uint8Array(pageSize);
  if (pfn % 5 === 1) page[0] = 1;
  else if (pfn % 5 === 2) page[pageSize - 1] = 1;
  else if (pfn % 5 === 3) page[8] = 1;
  else return undefined;
  return page;
}

test.each([true, false])(
  'pages of zeros are taken out, others and those that cannot be read stay (mapped: %s)',
  (mapped) => {
    const path = join(directory, `core-${mapped}`);
    const { bytes } = buildVmcore({ pages: 256, content, segments: [{ start: 0, end: 200 }] });
    writeFileSync(path, bytes);
    const file = new FileBytes(path);
    if (!mapped) file.neverMap();
    const source = new ElfSource(file);
    const first = 16;
    const bitmap = new PageBitmap(240, undefined, first);
    bitmap.setRange(first, 200);
    // Excluded already, and a frame that the core does not have.
    bitmap.clear(100);
    bitmap.set(250);
    const cleared = clearZeroPages(source, bitmap, pageSize);
    source.close();
    let expected = 0;
    for (let pfn = first; pfn < 200; pfn++) {
      const isZero = content(pfn) === undefined;
      if (isZero && pfn !== 100) expected++;
      expect(bitmap.has(pfn), `page frame ${pfn}`).toBe(!isZero);
    }
    expect(bitmap.has(250)).toBe(true);
    expect(cleared).toBe(expected);
  },
);
