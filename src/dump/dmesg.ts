import { kernelLog, type LogOptions } from '../kernel/log.ts';
import { openKernelMemory } from '../kernel/open.ts';
import { KdumpError } from '../lib/errors.ts';
import { openSource } from './input/open.ts';
import type { DumpSource } from './input/source.ts';

/**
 * The kernel log of a vmcore or of a dump of any format, as text of which each character is one byte.
 * @param paths one file, or all parts of a split set
 * @throws KdumpError `no-vmcoreinfo`, `no-log`, or what opening the file throws
 */
export function extractDmesg(paths: string | readonly string[], options: LogOptions = {}): string {
  const source = openSource(typeof paths === 'string' ? [paths] : paths);
  try {
    return dmesgOf(source, options);
  } finally {
    source.close();
  }
}

/**
 * The same of an open dump.
 * @param vmcoreinfo takes the place of what the dump says about its kernel
 */
export function dmesgOf(
  source: DumpSource,
  options: LogOptions = {},
  vmcoreinfo = source.vmcoreinfo,
): string {
  const { arch, path } = source;
  if (vmcoreinfo === undefined)
    throw new KdumpError('no-vmcoreinfo', `${path}: no VMCOREINFO note, so the log cannot be found`);
  if (arch === undefined)
    throw new KdumpError(
      'no-log',
      `${path}: its header does not tell the architecture, so the log cannot be found`,
    );
  const { memory } = openKernelMemory(arch, vmcoreinfo, source, source.segments, source.made?.physBase);
  return kernelLog(vmcoreinfo, memory, options);
}
