import { KdumpError } from '../../lib/errors.ts';
import { intersect, type Range, subtract } from '../../lib/ranges.ts';
import type { LayoutFacts } from '../layout/layout-facts.ts';
import type { LoadRequest } from '../request.ts';
import { exitCodes } from '../uapi.ts';

/** The interrupt vectors of real mode, which belong to the firmware although they are RAM. */
const INTERRUPT_VECTORS: Range = { start: 0, end: 0x400 };

/**
 * Where segments may lie. A crash kernel goes into the highest reserved region: the kernel takes no segment outside it,
 * and a lower region is only there for devices that cannot reach further.
 * @throws KdumpError `no-crash-region`, `no-memory-map`
 */
export function usableMemory(request: LoadRequest, layout: LayoutFacts): Range[] {
  const { memMin, memMax } = request.placing;
  const asked = [{ start: memMin, end: memMax + 1 }];
  if (request.type === 'crash') {
    const highest = layout.crashRegions.toSorted((a, b) => a.start - b.start).at(-1);
    if (highest === undefined)
      throw new KdumpError(
        'no-crash-region',
        'Memory for crashkernel is not reserved, or /proc/iomem hides where it is',
        { fix: 'Boot with crashkernel=, for example crashkernel=256M, and run as root.' },
      );
    return intersect([highest], asked);
  }
  const ram = layout.memoryMap.filter(({ type }) => type === 'ram');
  if (ram.length === 0)
    throw new KdumpError(
      'no-memory-map',
      'Could not get memory layout: neither /sys/firmware/memmap nor /proc/iomem lists RAM',
      { fix: 'Run as root, with /sys and /proc mounted.', exitCode: exitCodes.failed },
    );
  return subtract(intersect(ram, asked), [INTERRUPT_VECTORS]);
}
