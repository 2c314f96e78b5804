// The entry of a worker thread: does jobs until there are no more. Its bundle lies beside the commands'.
import { workerData } from 'node:worker_threads';
import { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import type { PfnRange } from '../../lib/bitmap.ts';
import { keepHeapSmall } from '../../system/heap.ts';
import { EraseFilter, type ErasePiece } from '../erase/apply.ts';
import { mapPages, type PageDescriptors } from '../filter/page-map.ts';
import { openSource } from '../input/open.ts';
import { Hand } from './hand.ts';
import { JobRing, type RingMemory } from './job-ring.ts';
import { type Compression, openPageCompressor } from './page-compressor.ts';

/** What a worker needs to know; plain data. */
export type WorkerSettings = {
  readonly ring: RingMemory;
  readonly paths: readonly string[];
  readonly mapped: boolean;
  readonly dumpLevel: number;
  /** Text that takes the place of the source's VMCOREINFO. */
  readonly vmcoreinfo: string | undefined;
  readonly guarded: readonly PfnRange[];
  readonly compression: Compression;
  readonly shareZero: boolean;
  readonly erase: readonly ErasePiece[];
};

function serve(settings: WorkerSettings, ring: JobRing): void {
  const { ring: memory, erase, dumpLevel } = settings;
  // Nothing is opened for a dump that is finished already.
  if (!ring.isOpen) return;
  const source = openSource(settings.paths, { mapped: settings.mapped });
  const compressor = openPageCompressor(settings.compression, () => {});
  // Another codec than the one that the dump's header names would be a lie; the other threads work without this one.
  if (compressor.codec !== settings.compression) return;
  let descriptors: PageDescriptors | undefined;
  const hand = new Hand({
    source,
    pageSize: memory.pageSize,
    compressor,
    shareZero: settings.shareZero,
    editor: erase.length > 0 ? new EraseFilter(erase, memory.pageSize) : undefined,
    dumpLevel,
    descriptors: () => {
      descriptors ??= mapPages(source, dumpLevel, () => {}, {
        vmcoreinfo: settings.vmcoreinfo === undefined ? undefined : new Vmcoreinfo(settings.vmcoreinfo),
        guarded: settings.guarded,
      }).descriptors;
      return descriptors;
    },
  });
  while (ring.waitForJob()) {
    const job = ring.claim();
    if (job === undefined) continue;
    try {
      hand.do(ring.job(job), ring.block(job));
      ring.finish(job, true);
    } catch {
      // The main thread does this job itself, and meets the same trouble where it can be told.
      ring.finish(job, false);
      break;
    }
  }
  source.close();
}

// Undone for the whole process by the start of this thread.
keepHeapSmall();
const settings = workerData as WorkerSettings;
const ring = new JobRing(settings.ring);
try {
  serve(settings, ring);
} finally {
  ring.leave();
}
