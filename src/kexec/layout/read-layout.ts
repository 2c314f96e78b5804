import { normalize, type Range } from '../../lib/ranges.ts';
import { readIomem, readKexecState, readVmcoreinfoPlace } from '../../system/proc.ts';
import { readCpuNotes } from './cpu-notes.ts';
import { readFirmwareFacts } from './firmware-facts.ts';
import { readKcoreFacts } from './kcore-facts.ts';
import type { LayoutFacts } from './layout-facts.ts';
import { flat, type NamedRange, readMemoryMap } from './memory-map.ts';

/**
 * Reads the layout of the machine whose /proc and /sys lie below `root`. Missing files are facts, never errors; what
 * had to be assumed is among the warnings.
 * @throws KdumpError `bad-iomem`, `bad-firmware-map` for a file that is there and is not what it should be.
 */
export function readLayout(root: string): LayoutFacts {
  const iomem = readIomem(root);
  const ranges = iomem === null || iomem.hidden ? [] : flat(iomem.ranges);
  const called = (name: string): Range[] => normalize(ranges.filter((range) => range.name === name));
  const kernel = kernelPlace(ranges);
  const { warnings: mapWarnings, memoryMap } = readMemoryMap(root, ranges);
  const { warnings: kcoreWarnings, ...kcore } = readKcoreFacts(root, kernel);
  const { warnings: firmwareWarnings, ...firmware } = readFirmwareFacts(root);
  return {
    memoryMap,
    // Drivers bring some later: "System RAM (kmem)", "System RAM (virtio_mem)".
    ram: normalize(ranges.filter(({ name }) => name.includes('System RAM'))),
    crashRegions: called('Crash kernel'),
    gart: called('GART'),
    kernel,
    ...kcore,
    cpuNotes: readCpuNotes(root),
    vmcoreinfo: readVmcoreinfoPlace(root),
    elfcorehdrSize: readKexecState(root).elfcorehdrSize,
    ...firmware,
    warnings: [
      ...(iomem?.hidden ? ['/proc/iomem shows its addresses to root (CAP_SYS_ADMIN) only'] : []),
      ...mapWarnings,
      ...kcoreWarnings,
      ...firmwareWarnings,
    ],
  };
}

/** From "Kernel code" to "Kernel bss"; null when that is not there exactly once. */
function kernelPlace(ranges: readonly NamedRange[]): Range | null {
  const [code, another] = ranges.filter(({ name }) => name === 'Kernel code');
  if (code === undefined || another !== undefined) return null;
  const parts = ranges.filter(({ name }) => /^Kernel (code|rodata|data|bss)$/.test(name));
  return { start: code.start, end: Math.max(...parts.map(({ end }) => end)) };
}
