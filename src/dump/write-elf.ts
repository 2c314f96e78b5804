import { PageBitmap } from '../lib/bitmap.ts';
import type { Progress } from '../lib/progress.ts';
import { type DumpWork, eraseinfoOf, openCrew, selectionOf, type Written } from './dump-work.ts';
import { EditedPages } from './erasure.ts';
import { level } from './filter/kinds.ts';
import { type Cycle, planCycles, selectPages, type Totals } from './filter/selection.ts';
import { clearZeroPages } from './filter/zero-pages.ts';
import { writeElfDump } from './output/elf-writer.ts';

/** Bitmaps of all cycles are held up to this size, 1 TiB of 4 KiB pages; beyond it the filter works once more. */
const heldBytes = 32 * 2 ** 20;

/**
 * Filters a dump and writes an ELF core. How the segments are divided must be known before the first byte is written,
 * so all bitmaps are made before, and zero pages are found before.
 */
export function writeElf(work: DumpWork, progress: Progress): Written {
  const { source, map, dumpLevel, sinks } = work;
  const { pageSize, maxPfn } = map;
  const bitmapBytes = Math.ceil(maxPfn / 8);
  const cycles = planCycles(maxPfn, bitmapBytes, work.cycleBytes);
  const crew = openCrew(work, Math.min(work.cycleBytes, bitmapBytes));
  try {
    const memory = crew.bitmapBytes;
    const selection = selectionOf(work, crew, cycles);
    const edited = new EditedPages(work.erasure, pageSize);
    let zero = 0;
    const select = (which: readonly Cycle[], each: (kept: PageBitmap) => void): Totals =>
      selectPages(
        selection,
        which,
        memory,
        undefined,
        (_, kept) => {
          if ((dumpLevel & level.zero) !== 0) zero += clearZeroPages(source, kept, pageSize);
          each(kept);
        },
        progress,
      );
    const held: PageBitmap[] = [];
    const totals = select(cycles, (kept) => {
      edited.look(kept);
      if (bitmapBytes > heldBytes) return;
      const bytes = Uint8Array.from(kept.bytes);
      held.push(new PageBitmap(kept.length, bytes.length, kept.first, bytes));
    });
    const zeroPages = zero;
    const filteredAt = performance.now();
    function* judgedAgain(): Generator<PageBitmap> {
      for (const cycle of cycles) {
        let again: PageBitmap | undefined;
        select([cycle], (kept) => {
          again = kept;
        });
        if (again !== undefined) yield again;
      }
    }
    const written = writeElfDump(
      {
        source,
        sink: sinks[0]!,
        pageSize,
        memory: map.kernel?.memory,
        cycles: () => (held.length === cycles.length ? held : judgedAgain()),
        editor: work.erasure?.editor,
        eraseinfo: eraseinfoOf(work, edited),
      },
      progress,
    );
    return {
      totals,
      copied: {
        pages: totals.kept,
        zero: zeroPages,
        unreadable: written.unreadable,
        inElf: written.pages,
      },
      filteredAt,
    };
  } finally {
    crew.close();
  }
}
