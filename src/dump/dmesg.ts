import { architectureOf } from '../kernel/architectures.ts';
import { openKernelMemory } from '../kernel/open.ts';
import { formatPrintk, readPrintk } from '../kernel/printk.ts';
import { KdumpError } from '../lib/errors.ts';
import { Vmcore } from './vmcore.ts';

/**
 * The kernel log of a vmcore, as text.
 * @throws KdumpError `no-vmcoreinfo`, `no-log`, or what opening the vmcore throws
 */
export function extractDmesg(vmcorePath: string): string {
  const vmcore = new Vmcore(vmcorePath);
  try {
    const info = vmcore.vmcoreinfo;
    if (info === undefined)
      throw new KdumpError('no-vmcoreinfo', `${vmcorePath}: no VMCOREINFO note, so the log cannot be found`);
    const { memory } = openKernelMemory(
      architectureOf(vmcore.machine, vmcorePath),
      info,
      vmcore,
      vmcore.segments,
    );
    return formatPrintk(readPrintk(info, memory));
  } finally {
    vmcore.close();
  }
}
