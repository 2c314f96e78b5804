import { isMissing, type VirtualMemory } from '../../kernel/memory.ts';
import type { SectionMap } from '../../kernel/sparsemem.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';
import { RunList } from '../../lib/run-list.ts';

/** 4 MiB of runs of page frames at most. */
const maxRuns = 2 ** 18;

/**
 * Page descriptors that describe nothing but pages that the dump leaves out (makedumpfile -e): the frames that hold
 * them. On a machine of terabytes they are most of what a dump of level 31 holds.
 *
 * First `survey` sees the finished selection, in one piece or in several; then `clearIn` takes the frames away,
 * which may lie in any piece. The frames that hold the descriptors of those frames stay: nothing is decided twice.
 *
 * The original wants every descriptor mapped by 2 MiB pages, and blocks of 128 pages that all exist; here any mapping
 * will do, down to one frame of descriptors, and what describes no memory at all goes as well. A frame that is mapped
 * several times, as those of hugetlb pages are (HVO), goes only when none of what it describes stays.
 */
export class UnusedDescriptors {
  readonly #memory: VirtualMemory;
  readonly #sections: SectionMap;
  readonly #pageSize: number;
  readonly #maxPfn: number;
  /** Frames to leave out: mapped by large pages, or each on its own, which are the ones that may be mapped twice. */
  readonly #unused = new RunList(maxRuns);
  readonly #unusedAlone = new RunList(maxRuns);
  /** Frames, mapped each on its own, of which something is needed. */
  readonly #neededAlone = new RunList(maxRuns);
  #sorted = false;

  /** @param maxPfn number of page frames of the whole dump: from there on nothing is described */
  constructor(memory: VirtualMemory, sections: SectionMap, pageSize: number, maxPfn: number) {
    this.#memory = memory;
    this.#sections = sections;
    this.#pageSize = pageSize;
    this.#maxPfn = maxPfn;
  }

  /** Looks at a piece of the selection: each piece once, before the first `clearIn`. */
  survey(bitmap: PageBitmap): void {
    const { bases, pagesPerSection } = this.#sections;
    const last = bitmap.end >= this.#maxPfn;
    const end = last ? Math.ceil(bitmap.end / pagesPerSection) * pagesPerSection : bitmap.end;
    for (let from = bitmap.first; from < end; ) {
      const nr = Math.floor(from / pagesPerSection);
      const to = Math.min(end, (nr + 1) * pagesPerSection);
      const base = bases[nr];
      if (base !== undefined) this.#surveySection(bitmap, base, from, to);
      from = to;
    }
  }

  /** Clears those frames in a piece of the selection; @returns how many had been set */
  clearIn(bitmap: PageBitmap): number {
    this.#finish();
    let cleared = 0;
    for (const { start, end } of this.#unused.from(bitmap.first)) {
      if (start >= bitmap.end) break;
      cleared += bitmap.clearRange(start, end);
    }
    return cleared;
  }

  /** Frames that could go and stay, because there were too many short runs of them. */
  get skipped(): number {
    return this.#unused.dropped + this.#unusedAlone.dropped;
  }

  /** The descriptors of [from, to), which lie one after the other in virtual memory. */
  #surveySection(bitmap: PageBitmap, base: bigint, from: number, to: number): void {
    const size = this.#sections.pageStructSize;
    const pageSize = this.#pageSize;
    // Bytes from `base` on.
    const end = to * size;
    for (let at = from * size; at < end; ) {
      const vaddr = base + BigInt(at);
      const inPage = Number(vaddr % BigInt(pageSize));
      const run = this.#memory.translate(vaddr);
      if (isMissing(run)) {
        at += pageSize - inPage;
        continue;
      }
      const alone = inPage + run.length <= pageSize;
      const runEnd = Math.min(end, at + run.length);
      const first = inPage === 0 ? at : at + pageSize - inPage;
      const pages = Math.floor((runEnd - first) / pageSize);
      if (pages > 0) {
        const frame = (run.paddr + (first - at)) / pageSize;
        const used = this.#surveyRun(bitmap, first, pages, frame, alone ? this.#unusedAlone : this.#unused);
        if (alone && used) this.#neededAlone.add(frame, frame + pages);
      } else if (alone) {
        const frame = Math.floor(run.paddr / pageSize);
        this.#neededAlone.add(frame, frame + 1);
      }
      at = runEnd;
    }
  }

  /** `pages` frames from `frame` on hold the descriptors from byte `at` on. @returns whether any is needed */
  #surveyRun(bitmap: PageBitmap, at: number, pages: number, frame: number, unused: RunList): boolean {
    const size = this.#sections.pageStructSize;
    const pageSize = this.#pageSize;
    const end = at + pages * pageSize;
    const lastPfn = Math.ceil(end / size);
    let found = 0;
    for (let pfn = Math.floor(at / size); pfn < lastPfn; ) {
      // Frames beyond the bitmap do not exist.
      const start = pfn >= bitmap.end ? pfn : bitmap.nextClear(pfn);
      const next = start >= bitmap.end ? bitmap.end : bitmap.nextSet(start);
      const stop = next >= bitmap.end ? lastPfn : Math.min(next, lastPfn);
      const from = Math.ceil((Math.max(at, start * size) - at) / pageSize);
      const to = Math.floor((Math.min(end, stop * size) - at) / pageSize);
      if (from < to) {
        unused.add(frame + from, frame + to);
        found += to - from;
      }
      pfn = Math.max(stop, start + 1);
    }
    return found < pages;
  }

  /** One sorted list, without what is needed elsewhere. */
  #finish(): void {
    if (this.#sorted) return;
    this.#sorted = true;
    const needed = this.#neededAlone;
    needed.sort();
    this.#unusedAlone.sort();
    // Not knowing all that is needed, nothing that may be mapped twice goes.
    if (needed.dropped === 0) {
      for (const { start, end } of this.#unusedAlone) {
        let from = start;
        for (const hole of needed.from(start)) {
          if (hole.start >= end) break;
          this.#unused.add(from, Math.max(from, hole.start));
          from = hole.end;
        }
        this.#unused.add(from, Math.max(from, end));
      }
    }
    this.#unused.sort();
  }
}
