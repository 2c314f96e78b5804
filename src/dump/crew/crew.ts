import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { PageBitmap } from '../../lib/bitmap.ts';
import type { Verdict } from '../filter/kinds.ts';
import { Hand, type HandWork } from './hand.ts';
import { type Job, type JobKind, JobRing } from './job-ring.ts';
import { PageBlock, pagesInBlock } from './page-block.ts';
import type { WorkerSettings } from './worker.ts';

/** What a crew works on, and with. */
export type CrewSettings = HandWork & {
  /** The main thread included. */
  readonly threads: number;
  /** What a worker needs to open the same source and do the same work. */
  readonly worker: Omit<WorkerSettings, 'ring'>;
  /** Bytes that a compressor may touch beyond a page. */
  readonly slack: number;
  /** Bytes of the largest bitmap that will be worked on. */
  readonly bitmapBytes: number;
};

/** Takes a finished block; it is its own until it returns. Blocks come in ascending order of page frames. */
export type BlockTaker = (block: PageBlock, start: number) => void;

/** Slots for each thread: enough that nobody waits for the writer while it writes. */
const slotsPerThread = 3;
/** Milliseconds after which a worker that does not finish its job is given up. */
const patience = 120_000;
/** Milliseconds that workers have to leave: they are starting up at worst. */
const farewell = 10_000;
/** Frames that are judged as one job: 1 GiB of 4 KiB pages, which no compound page crosses on x86_64. */
const judgedTogether = 2 ** 18;

/**
 * Frames of which the main thread judges all, 16 GiB: that takes less than a worker takes to start, and V8's own threads
 * need the processors to make the machine code of the filter.
 */
const judgedAlone = 2 ** 22;

/**
 * The threads that make one dump. Every thread does jobs, the main one whenever there is nothing to take: so workers
 * that are slow to start, or do not start at all, cost nothing but their share of the speed.
 */
export class Crew {
  /** Where a bitmap must lie for the workers to see it. */
  readonly bitmapBytes: Uint8Array;
  readonly #settings: CrewSettings;
  readonly #hand: Hand;
  readonly #ring: JobRing;
  /** How many were started; undefined before. */
  #workers: number | undefined;
  #nextJob = 0;
  /** Set when workers were given up: the main thread then works alone, in this block. */
  #lonelyBlock: PageBlock | undefined;

  constructor(settings: CrewSettings) {
    this.#settings = settings;
    const { pageSize, slack, threads } = settings;
    this.#hand = new Hand(settings);
    const slots = threads > 1 ? threads * slotsPerThread : 1;
    this.#ring = new JobRing(JobRing.allocate(slots, pageSize, slack, settings.bitmapBytes));
    this.bitmapBytes = new Uint8Array(this.#ring.memory.bitmap);
  }

  /**
   * Judges the pages of `bitmap` and clears those that go.
   * @param bitmap must lie in `bitmapBytes`
   * @param take receives the verdict on the frames up to `end`, in ascending order
   */
  judge(bitmap: PageBitmap, take: (verdict: Verdict, end: number) => void): void {
    if (bitmap.length > judgedAlone) this.#startWorkers();
    this.#run('judge', bitmap, planJudging(bitmap), (block, { end }) => take(block.verdict, end));
  }

  /**
   * Makes blocks of the pages of `wanted`.
   * @param wanted must lie in `bitmapBytes`
   * @param boundaries page frames that no block may cross; ascending
   */
  copy(wanted: PageBitmap, boundaries: readonly number[], take: BlockTaker): void {
    this.#startWorkers();
    const plan = planBlocks(wanted, boundaries, pagesInBlock(this.#settings.pageSize));
    this.#run('copy', wanted, plan, (block, { start }) => take(block, start));
  }

  /**
   * Ends the workers, and waits for them: a thread that is torn down inside a native call, by `terminate` or by the end
   * of the process, takes the process with it.
   */
  close(): void {
    this.#ring.stop();
    this.#ring.waitUntilLeft(this.#workers ?? 0, farewell);
  }

  #startWorkers(): void {
    const { threads, worker } = this.#settings;
    this.#workers ??= startWorkers(threads - 1, { ...worker, ring: this.#ring.memory });
  }

  /** Has the pieces of a plan worked on by all threads, and what comes of them taken in order by this one. */
  #run(
    kind: JobKind,
    bitmap: PageBitmap,
    plan: Iterator<Piece>,
    take: (block: PageBlock, piece: Piece) => void,
  ): void {
    const ring = this.#ring;
    const open: { readonly job: number; readonly piece: Piece }[] = [];
    const plannedJob = (piece: Piece): Job => ({ kind, ...piece, bitmap });
    let planned = plan.next();
    while (this.#lonelyBlock === undefined && (open.length > 0 || !planned.done)) {
      while (!planned.done && open.length < ring.memory.slots) {
        const job = this.#nextJob++;
        ring.publish(job, plannedJob(planned.value));
        open.push({ job, piece: planned.value });
        planned = plan.next();
      }
      const { job, piece } = open[0]!;
      const state = ring.stateOf(job);
      if (state === 'refused') this.#hand.do(plannedJob(piece), ring.block(job));
      if (state !== 'open') {
        take(ring.block(job), piece);
        open.shift();
        continue;
      }
      const mine = ring.claim();
      if (mine !== undefined) {
        this.#hand.do(plannedJob(open.find((other) => other.job === mine)!.piece), ring.block(mine));
        ring.finish(mine, true);
      } else if (!this.#wait(job)) this.#abandonWorkers();
    }
    // Left over when workers were given up: what was published and not taken, then what was not even published.
    for (const { piece } of open) this.#doAlone(plannedJob(piece), take);
    for (; !planned.done; planned = plan.next()) this.#doAlone(plannedJob(planned.value), take);
  }

  #doAlone(job: Job, take: (block: PageBlock, piece: Piece) => void): void {
    const block = this.#lonelyBlock!;
    this.#hand.do(job, block);
    take(block, job);
  }

  #wait(job: number): boolean {
    const began = performance.now();
    while (this.#ring.stateOf(job) === 'open') {
      if (performance.now() - began > patience) return false;
      this.#ring.waitFor(job, 1000);
    }
    return true;
  }

  /** A worker that was given up may still write into its slot, so the ring is not used any more. */
  #abandonWorkers(): void {
    const { pageSize, slack } = this.#settings;
    this.#ring.stop();
    const memory = new ArrayBuffer(PageBlock.bytesFor(pageSize, slack));
    this.#lonelyBlock = new PageBlock(memory, 0, pageSize, slack);
  }
}

/** Half-open range of page frames for one job. */
type Piece = { readonly start: number; readonly end: number };

function* planJudging(bitmap: PageBitmap): Generator<Piece> {
  for (let start = bitmap.nextSet(bitmap.first); start < bitmap.end; ) {
    const from = start - (start % judgedTogether);
    const end = Math.min(bitmap.end, from + judgedTogether);
    yield { start: Math.max(bitmap.first, from), end };
    start = bitmap.nextSet(end);
  }
}

/** Divides the wanted pages into runs of at most `pages` that cross no boundary. */
function* planBlocks(wanted: PageBitmap, boundaries: readonly number[], pages: number): Generator<Piece> {
  let boundary = 0;
  for (let start = wanted.nextSet(wanted.first); start < wanted.end; ) {
    while (boundary < boundaries.length && boundaries[boundary]! <= start) boundary++;
    const end = Math.min(wanted.endOfNext(start, pages), boundaries[boundary] ?? wanted.end);
    yield { start, end };
    start = wanted.nextSet(end);
  }
}

/** The young generation of a worker's heap, which is not bound by what bounds the main thread's (system/heap.ts). */
const smallHeap = { maxYoungGenerationSizeMb: 4 };

/** Starts workers from the bundle beside this one; none where there is no bundle, or no thread to be had. */
function startWorkers(count: number, settings: WorkerSettings): number {
  const entry = fileURLToPath(new URL('./dump-worker.mjs', import.meta.url));
  let started = 0;
  if (count < 1 || !existsSync(entry)) return started;
  try {
    for (; started < count; started++) {
      const worker = new Worker(entry, { workerData: settings, resourceLimits: smallHeap });
      // One that fails has given its job back or never had one: the others go on.
      worker.on('error', () => {});
      worker.unref();
    }
  } catch {
    // No thread to be had: those that started are enough.
  }
  return started;
}
