import type { DumpFacts } from '../crash/session.ts';
import { openSource } from '../dump/input/open.ts';
import type { DumpSource } from '../dump/input/source.ts';
import { liveVmcoreinfo } from '../dump/mem-usage.ts';
import { statusIncomplete } from '../formats/diskdump.ts';
import { type Kernel, openKernel } from '../kernel/kernel.ts';
import { kernelLog } from '../kernel/log.ts';
import { openKernelMemory } from '../kernel/open.ts';
import { PageBitmap } from '../lib/bitmap.ts';
import { KdumpError } from '../lib/errors.ts';

/** The memory of the kernel that runs. */
export const runningKernel = '/proc/kcore';

/** A dump and the kernel in it. */
export type Dump = DumpFacts & {
  readonly kernel: Kernel;
  /** Why what is read of it may be wrong; usually none. */
  readonly warnings: readonly string[];
  /** The kernel's log as dmesg shows it. @throws KdumpError when it cannot be found */
  log(): string;
  close(): void;
};

/**
 * Opens a dump of any format, told by its content; nothing but what its header says is read before it is asked for.
 *
 *     const dump = openDump('vmcore');
 *     const comm = dump.kernel.panicTask?.comm; // 'bash', or Missing
 *     dump.close();
 *
 * @param paths a file, or all parts of a split dump in any order; /proc/kcore is the kernel that runs
 * @throws KdumpError `open-failed`, `unknown-format`, `truncated`, `no-vmcoreinfo`, `no-arch`, and what the formats' readers throw
 */
export function openDump(paths: string | readonly string[]): Dump {
  const files = typeof paths === 'string' ? [paths] : paths;
  const isLive = files.length === 1 && files[0] === runningKernel;
  const source = openSource(files, { mapped: !isLive });
  try {
    return dumpOf(source, files, isLive);
  } catch (error) {
    source.close();
    throw error;
  }
}

function dumpOf(source: DumpSource, paths: readonly string[], isLive: boolean): Dump {
  const { path, arch, made } = source;
  const vmcoreinfo = source.vmcoreinfo ?? (isLive ? liveVmcoreinfo(source, '/') : undefined);
  if (vmcoreinfo === undefined)
    throw new KdumpError('no-vmcoreinfo', `${path}: no VMCOREINFO note, so nothing in it can be found`, {
      fix: 'A dump that was taken from outside a guest needs a kernel with vmcoreinfo and a device for it (QEMU: -device vmcoreinfo).',
    });
  if (arch === undefined)
    throw new KdumpError('no-arch', `${path}: its header does not tell the architecture`);
  const memory = openKernelMemory(arch, vmcoreinfo, source, source.segments, made?.physBase);
  // Notes of a kernel that runs hold no registers.
  const kernel = openKernel(memory, isLive ? {} : { notes: source.notes });
  return {
    kernel,
    warnings: memory.doubt === undefined ? [] : [`${path}: ${memory.doubt}; what is shown may be wrong`],
    paths,
    format: isLive ? 'live' : made === undefined ? 'ELF' : 'kdump-compressed',
    dumpLevel: made?.dumpLevel,
    incomplete: ((made?.status ?? 0) & statusIncomplete) !== 0,
    madeAt: made === undefined || made.crashTime === 0 ? undefined : made.crashTime,
    vmcoreinfo,
    pages: once(() => countPages(source, made?.blockSize ?? vmcoreinfo.pageSize ?? 4096)),
    physical: source,
    log: () => kernelLog(vmcoreinfo, memory.memory),
    close: () => source.close(),
  };
}

/** Page frames that are counted at once: 4 MiB of bitmap. */
const framesAtOnce = 2 ** 25;

function countPages(source: DumpSource, pageSize: number): { present: number; held: number } {
  const end = source.maxPfn(pageSize);
  let [present, held] = [0, 0];
  for (let first = 0; first < end; first += framesAtOnce) {
    const bitmap = new PageBitmap(Math.min(framesAtOnce, end - first), undefined, first);
    source.markPresent(bitmap, pageSize);
    present += bitmap.count();
    source.clearMissing(bitmap, pageSize);
    held += bitmap.count();
  }
  return { present, held };
}

function once<T>(compute: () => T): () => T {
  let result: { readonly value: T } | undefined;
  return () => {
    result ??= { value: compute() };
    return result.value;
  };
}
