import { commands } from '../../crash/commands/index.ts';
import { type DumpFacts, type Namelist, Session } from '../../crash/session.ts';
import { openSource } from '../../dump/input/open.ts';
import type { DumpSource } from '../../dump/input/source.ts';
import { liveVmcoreinfo } from '../../dump/mem-usage.ts';
import { statusIncomplete } from '../../formats/diskdump.ts';
import type { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import { openKernel } from '../../kernel/kernel.ts';
import { openKernelMemory } from '../../kernel/open.ts';
import { PageBitmap } from '../../lib/bitmap.ts';
import { KdumpError } from '../../lib/errors.ts';
import { isNamelist } from './file-kind.ts';
import { openNamelist } from './namelist.ts';

const kcore = '/proc/kcore';

export type OpenSession = { readonly session: Session; readonly warnings: readonly string[]; close(): void };

/**
 * Opens what the command line names: dumps and a vmlinux in any order, told by their content; `live`, /proc/kcore or
 * nothing for the running kernel.
 * @throws KdumpError
 */
export function openSession(paths: readonly string[]): OpenSession {
  const files = paths.map((path) => (path === 'live' ? kcore : path));
  const namelists = files.filter((path) => path !== kcore && isNamelist(path));
  const dumps = files.filter((path) => !namelists.includes(path));
  if (namelists.length > 1)
    throw new KdumpError('usage', `${namelists.join(', ')}: only one vmlinux can be that of the kernel`);
  const isLive = dumps.length === 0 || (dumps.length === 1 && dumps[0] === kcore);
  const source = openSource(isLive ? [kcore] : dumps, { mapped: !isLive });
  try {
    return sessionOf(source, isLive ? [kcore] : dumps, isLive, namelists[0]);
  } catch (error) {
    source.close();
    throw error;
  }
}

function sessionOf(
  source: DumpSource,
  paths: readonly string[],
  isLive: boolean,
  vmlinux: string | undefined,
): OpenSession {
  const { path, arch, made } = source;
  const info = source.vmcoreinfo ?? (isLive ? liveVmcoreinfo(source, '/') : undefined);
  if (info === undefined)
    throw new KdumpError('no-vmcoreinfo', `${path}: no VMCOREINFO note, so nothing in it can be found`, {
      fix: 'A dump that was taken from outside a guest needs a kernel with vmcoreinfo and a device for it (QEMU: -device vmcoreinfo).',
    });
  if (arch === undefined)
    throw new KdumpError('no-arch', `${path}: its header does not tell the architecture`);
  const memory = openKernelMemory(arch, info, source, source.segments, made?.physBase);
  // Notes of a kernel that runs hold no registers.
  const kernel = openKernel(memory, isLive ? {} : { notes: source.notes });
  const warnings = memory.doubt === undefined ? [] : [`${path}: ${memory.doubt}; what is shown may be wrong`];
  const namelist = vmlinux === undefined ? undefined : attach(vmlinux, info, path, warnings);
  const dump: DumpFacts = {
    paths,
    format: isLive ? 'live' : made === undefined ? 'ELF' : 'kdump-compressed',
    dumpLevel: made?.dumpLevel,
    incomplete: ((made?.status ?? 0) & statusIncomplete) !== 0,
    madeAt: made === undefined || made.crashTime === 0 ? undefined : made.crashTime,
    vmcoreinfo: info,
    pages: once(() => countPages(source, made?.blockSize ?? info.pageSize ?? 4096)),
    physical: source,
  };
  const session = new Session({ kernel, dump, commands, namelist });
  const own = isLive ? kernel.tasks.find(({ pid }) => pid === process.pid) : undefined;
  if (own !== undefined) session.task = own;
  return {
    session,
    warnings,
    close: () => {
      namelist?.close();
      source.close();
    },
  };
}

/** A vmlinux is for source lines alone: one that is of no use is a warning, and the dump is read without it. */
function attach(
  path: string,
  info: Vmcoreinfo,
  dump: string,
  warnings: string[],
): (Namelist & { close(): void }) | undefined {
  try {
    return openNamelist(path, info, dump);
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    warnings.push(`${error.message}; going on without it`);
    return undefined;
  }
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
