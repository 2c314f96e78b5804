// What only looks at a dump, against makedumpfile on vmcores of crashed kernels: -e, --vtop, --explain.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explainPage } from '../../src/dump/explain.ts';
import { excludePages } from '../../src/dump/filter/filter.ts';
import { mapPages, type PageDescriptors, type PageMap } from '../../src/dump/filter/page-map.ts';
import { planCycles, selectPages } from '../../src/dump/filter/selection.ts';
import { UnusedDescriptors } from '../../src/dump/filter/vmemmap.ts';
import { openSource } from '../../src/dump/input/open.ts';
import type { DumpSource } from '../../src/dump/input/source.ts';
import { formatWalk, parseAddress, walkAddress } from '../../src/dump/vtop.ts';
import type { PageBitmap } from '../../src/lib/bitmap.ts';
import { openKdump, setBits } from '../helpers/kdump-reader.ts';
import { vmcoreInKnownWords } from './lab/known-words.ts';
import { comparedKernels, type Peer, peer, rawVmcore } from './lab/lab.ts';

describe.each(comparedKernels())('kernel %s', (name) => {
  let vmcore: string;
  /** The same for the C tool, where it does not know the words in which the kernel describes itself. */
  let known: string;
  let source: DumpSource;
  let map: PageMap;
  let descriptors: PageDescriptors;
  let theirs: Peer;
  let directory: string;
  let plain: Set<number>;

  beforeAll(async () => {
    vmcore = await rawVmcore(name);
    theirs = await peer('makedumpfile');
    directory = mkdtempSync(join(tmpdir(), 'kdump-look-'));
    known = vmcoreInKnownWords(vmcore, join(directory, 'vmcore'));
    source = openSource([vmcore]);
    map = mapPages(source, 31, () => {});
    descriptors = map.descriptors!;
    plain = await keptByThem('plain', ['-l', '-d', '31']);
  });
  afterAll(() => {
    source?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Page frames in a dump of theirs. */
  async function keptByThem(file: string, args: readonly string[]): Promise<Set<number>> {
    const path = join(directory, file);
    const told = await theirs.run([...args, known, path], { timeout: 300_000 });
    expect(told, told.stdout + told.stderr).toMatchObject({ status: 0 });
    const dump = openKdump(path);
    try {
      return new Set(setBits(dump.bitmap2));
    } finally {
      dump.close();
    }
  }

  /** Our selection at level 31, in cycles of so many bytes of bitmap. */
  function select(cycleBytes: number, each: (kept: PageBitmap) => void): void {
    const bytes = Math.ceil(map.maxPfn / 8);
    selectPages(
      {
        source,
        map,
        judge: (bitmap, take) =>
          take(
            excludePages({ ...descriptors, dumpLevel: 31, bitmap }, () => {}),
            bitmap.end,
          ),
        also: undefined,
      },
      planCycles(map.maxPfn, bytes, cycleBytes),
      new Uint8Array(Math.min(bytes, cycleBytes)),
      undefined,
      (_, kept) => each(kept),
      () => {},
    );
  }

  test.each([4 * 2 ** 20, 4096])(
    '-e leaves out all that they leave out (cycles of %i bytes)',
    async (cycleBytes) => {
      const withoutUnused = await keptByThem(`e-${cycleBytes}`, [
        ...['-l', '-d', '31', '-e', '--work-dir', directory],
      ]);
      const { memory, sections } = descriptors;
      const unused = new UnusedDescriptors(memory, sections, map.pageSize, map.maxPfn);
      select(cycleBytes, (kept) => unused.survey(kept));
      const ours = new Set<number>();
      let cleared = 0;
      select(cycleBytes, (kept) => {
        cleared += unused.clearIn(kept);
        for (let pfn = kept.nextSet(kept.first); pfn < kept.end; pfn = kept.nextSet(pfn + 1)) ours.add(pfn);
      });
      expect([...ours].filter((pfn) => !withoutUnused.has(pfn))).toEqual([]);
      expect(cleared).toBe(plain.size - ours.size);
      expect(cleared).toBeGreaterThan(plain.size - withoutUnused.size);
      // What goes in addition holds descriptors, and none of a page that is in the dump.
      const described = new Map<number, number[]>();
      for (let pfn = 0; pfn < map.maxPfn; pfn++) {
        const base = sections.bases[Math.floor(pfn / sections.pagesPerSection)];
        if (base === undefined) continue;
        const run = memory.translate(base + BigInt(pfn * sections.pageStructSize));
        if (!('paddr' in run)) continue;
        const frame = Math.floor(run.paddr / map.pageSize);
        const pages = described.get(frame) ?? [];
        pages.push(pfn);
        described.set(frame, pages);
      }
      const more = [...withoutUnused].filter((pfn) => !ours.has(pfn));
      // Frames at the end of the last section describe nothing below maxPfn.
      expect(more.filter((pfn) => described.get(pfn)?.some((page) => plain.has(page)))).toEqual([]);
      const beyond = more.filter((pfn) => !described.has(pfn)).length;
      const lastSection = sections.pagesPerSection - (map.maxPfn % sections.pagesPerSection);
      expect(beyond).toBeLessThanOrEqual((lastSection * sections.pageStructSize) / map.pageSize);
    },
  );

  test('--vtop prints what they print', async () => {
    const info = source.vmcoreinfo!;
    const addresses = ['swapper_pg_dir', 'clear_seq', 'prb', 'node_data', 'mem_section'].map(
      (symbol) => `0x${info.symbol(symbol)!.toString(16)}`,
    );
    const vmemmap = `0x${descriptors.sections.bases.find((base) => base !== undefined)!.toString(16)}`;
    for (const address of [...addresses, vmemmap, '010000', '4096']) {
      const { stdout } = await theirs.run([
        ...['--dry-run', '-d', '0', '--vtop', address, known, join(directory, 'none')],
      ]);
      const walk = walkAddress(map.kernel!.memory, parseAddress(address, '--vtop'));
      // Why an address leads nowhere is said by us only.
      const text = formatWalk(walk).replace(/^ {2}Not mapped: .*\n/m, '');
      // An address that they need for themselves is printed twice.
      expect(stdout, address).toContain(text);
    }
  });

  test('--explain agrees with their dump about every five hundredth page', () => {
    const wrong: number[] = [];
    for (let pfn = 7; pfn < map.maxPfn; pfn += 503) {
      const { kept, reason, leftOutAt } = explainPage(source, pfn, 31);
      // A zero page is in the bitmap all the same: it is stored once for all.
      if (
        (kept || reason === 'zero') !== plain.has(pfn) ||
        (reason !== 'hole' && leftOutAt.includes(31) === kept)
      )
        wrong.push(pfn);
    }
    expect(wrong).toEqual([]);
  });
});
