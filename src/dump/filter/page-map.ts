import type { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import type { VirtualMemory } from '../../kernel/memory.ts';
import { type KernelMemory, openKernelMemory } from '../../kernel/open.ts';
import { type PageLayout, pageLayout } from '../../kernel/page.ts';
import { protectedRanges } from '../../kernel/protected.ts';
import { endOfSections, readSections, type SectionMap } from '../../kernel/sparsemem.ts';
import type { PfnRange } from '../../lib/bitmap.ts';
import { describeError, KdumpError } from '../../lib/errors.ts';
import type { DumpSource } from '../input/source.ts';
import { needsPageDescriptors } from './filter.ts';
import { level } from './kinds.ts';

/** Which pages a dump describes, and how to learn what they are. */
export type PageMap = {
  /** Bytes. */
  readonly pageSize: number;
  /** Number of page frames that the dump describes. */
  readonly maxPfn: number;
  /** The crashed kernel; undefined when the dump says nothing of it. */
  readonly kernel: KernelMemory | undefined;
  /** How to find and read page descriptors; undefined when they cannot be understood, or none is wanted. */
  readonly descriptors: PageDescriptors | undefined;
};

export type PageDescriptors = {
  readonly memory: VirtualMemory;
  readonly sections: SectionMap;
  readonly page: PageLayout;
  /** Page frames that no filter takes for user data or page cache. */
  readonly guarded: readonly PfnRange[];
};

export type MapOptions = {
  /** Takes the place of what the dump says about its kernel (makedumpfile -i, -x). */
  readonly vmcoreinfo?: Vmcoreinfo | undefined;
  /** Page frames that no filter takes for user data or page cache, when they are known already. */
  readonly guarded?: readonly PfnRange[];
  /** Page descriptors are wanted whatever the level needs. */
  readonly always?: boolean;
};

/**
 * Maps the pages of a dump. What cannot be understood is told and costs the filter, not the dump.
 * @throws KdumpError `no-vmcoreinfo` for a level that needs one, `no-page-size`
 */
export function mapPages(
  source: DumpSource,
  dumpLevel: number,
  tell: (text: string) => void,
  options: MapOptions = {},
): PageMap {
  const info = options.vmcoreinfo ?? source.vmcoreinfo;
  if (info === undefined && dumpLevel > level.zero) {
    throw new KdumpError('no-vmcoreinfo', `${source.path}: no VMCOREINFO note, so page types are unknown`, {
      fix: 'Dump levels 0 and 1 need none and still work.',
    });
  }
  const pageSize = info?.pageSize ?? source.made?.blockSize ?? source.arch?.pageSize;
  if (pageSize === undefined) {
    throw new KdumpError('no-page-size', `${source.path}: VMCOREINFO does not tell the page size`);
  }
  if (!isPageSize(pageSize))
    throw new KdumpError('no-page-size', `${source.path}: VMCOREINFO tells a page size of ${pageSize} bytes`);
  const { arch } = source;
  const highest = source.maxPfn(pageSize);
  const kernel = info && arch && openKernelMemory(arch, info, source, source.segments, source.made?.physBase);
  const whole: PageMap = { pageSize, maxPfn: highest, kernel, descriptors: undefined };
  if (info === undefined || arch === undefined || kernel === undefined) return whole;
  if (kernel.doubt !== undefined) {
    tell(`Cannot trust kernel addresses (${kernel.doubt}); every page is kept.`);
    return whole;
  }
  try {
    const { memory } = kernel;
    // Completed by what the kernel's own symbols and types tell, where the export is silent.
    const completed = kernel.knowledge.info;
    const sections = readSections(completed, arch, memory, highest, pageSize);
    const page = pageLayout(completed);
    if ((dumpLevel & level.free) !== 0 && page.buddyType === undefined) {
      tell(
        'The kernel does not tell how it marks free pages (PAGE_BUDDY_MAPCOUNT_VALUE); free pages are kept.',
      );
    }
    // Only these kinds of page are told by flags that damage, or another meaning, may set on pages of the kernel.
    const byFlags = level.cache | level.cachePrivate | level.user;
    const guarded = (): readonly PfnRange[] =>
      options.guarded ?? ((dumpLevel & byFlags) === 0 ? [] : protectedRanges(arch, kernel, pageSize));
    const wanted = options.always || needsPageDescriptors(dumpLevel, page);
    return {
      ...whole,
      // A finished dump has had its end cut already.
      maxPfn: source.made === undefined ? Math.min(highest, endOfSections(sections)) : highest,
      descriptors: wanted ? { memory, sections, page, guarded: guarded() } : undefined,
    };
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    tell(`${describeError(error)}; every page is kept.`);
    return whole;
  }
}

/** Powers of two from 4 KiB to 64 KiB, which is every page size there is. */
const isPageSize = (size: number): boolean => [4096, 8192, 16384, 32768, 65536].includes(size);
