import { intersect, type Range } from '../../lib/ranges.ts';
import type { LayoutFacts } from '../layout/layout-facts.ts';
import type { PlacingRequest } from '../request.ts';
import { buildElfcorehdr, elfcorehdrRoom } from './elfcorehdr.ts';
import type { Placement } from './placement.ts';
import type { Segment } from './segment.ts';

/** The first 640 KiB of a PC. */
const LOW_MEMORY: Range = { start: 0, end: 640 * 1024 };

/** What a kernel needs that looks at another one's memory. */
export type CrashSegments = {
  readonly elfcorehdr: Segment;
  /** Low memory that the next kernel uses, and where the purgatory puts what was in it. */
  readonly backup: { readonly source: Range; readonly segment: Segment } | null;
};

/**
 * Places the ELF core header, and for a crash kernel the backup of low memory: a kernel starts its other CPUs from
 * there, so it gets the range as RAM, and the header says where the old contents are.
 */
export function placeCrashSegments(
  placing: PlacingRequest,
  layout: LayoutFacts,
  placement: Placement,
): CrashSegments {
  const source = placing.preserveContext ? null : lowMemory(layout);
  const backup = source === null ? null : { source, segment: placeBackup(source, placement) };
  const bytes = buildElfcorehdr(layout, {
    // Crash regions are left out in any case; of what is exchanged the next kernel sees nothing.
    exclude: placing.preserveContext ? placement.allowed : [],
    backup: backup === null ? null : { source: backup.source, destination: backup.segment.mem },
    preserveContext: placing.preserveContext,
  });
  const room = Math.max(bytes.length, elfcorehdrRoom(layout, placing.hotplug));
  const { start, end } = placement.place('the ELF core header', room);
  // With hotplug the kernel rewrites the header when CPUs or memory come and go.
  const verified = !placing.hotplug;
  return {
    elfcorehdr: { name: 'elfcorehdr', bytes, mem: start, memsz: end - start, verified },
    backup,
  };
}

/** The largest range of RAM in low memory; firmware may have cut it in several. */
function lowMemory(layout: LayoutFacts): Range | null {
  const ranges = intersect(layout.ram, [LOW_MEMORY]);
  return ranges.toSorted((a, b) => b.end - b.start - (a.end - a.start))[0] ?? null;
}

function placeBackup(source: Range, placement: Placement): Segment {
  const { start, end } = placement.place('the backup of low memory', source.end - source.start);
  // Filled by the purgatory after its check, so there is nothing to be checked.
  return { name: 'backup', bytes: new Uint8Array(0), mem: start, memsz: end - start, verified: false };
}
