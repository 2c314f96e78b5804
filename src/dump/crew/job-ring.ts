import { PageBitmap } from '../../lib/bitmap.ts';
import { PageBlock } from './page-block.ts';

/** Memory that the threads of one dump share; plain data that may be handed to a worker. */
export type RingMemory = {
  readonly control: SharedArrayBuffer;
  readonly blocks: SharedArrayBuffer;
  /** Bits of the cycle that is being worked on. */
  readonly bitmap: SharedArrayBuffer;
  readonly slots: number;
  /** Bytes. */
  readonly pageSize: number;
  readonly slack: number;
};

export const jobKinds = ['judge', 'copy'] as const;
export type JobKind = (typeof jobKinds)[number];

/** A piece of work: judge the frames [start, end) of the bitmap, or make a block of its pages there. */
export type Job = {
  readonly kind: JobKind;
  readonly start: number;
  readonly end: number;
  readonly bitmap: PageBitmap;
};

/**
 * Words of the control block. Jobs are numbered from 0; job k lies in slot k % slots. Numbers stay below 2^30: jobs of
 * half a MiB, as they are with all pages dumped, make 512 TiB of that.
 */
const published = 0;
const claimed = 1;
const stopped = 2;
const left = 3;
const states = 4;
const wordsOfJob = 5;

const jobsOffset = (slots: number): number => Math.ceil(((states + slots) * 4) / 8) * 8;

/**
 * How threads share the work of one dump. The main thread publishes jobs in the order of page frames and takes what
 * comes of them in the same order; whoever is free claims the next job. A slot belongs to the main thread until its
 * job is published, to the thread that claimed it until it is done, and to the main thread again. Who has nothing to
 * do sleeps on a word of the control block.
 */
export class JobRing {
  readonly memory: RingMemory;
  readonly #control: Int32Array;
  readonly #jobs: Float64Array;
  readonly #blocks: readonly PageBlock[];
  #bitmap: PageBitmap | undefined;

  constructor(memory: RingMemory) {
    this.memory = memory;
    const { control, blocks, slots, pageSize, slack } = memory;
    this.#control = new Int32Array(control, 0, states + slots);
    this.#jobs = new Float64Array(control, jobsOffset(slots), slots * wordsOfJob);
    const size = PageBlock.bytesFor(pageSize, slack);
    this.#blocks = Array.from(
      { length: slots },
      (_, slot) => new PageBlock(blocks, slot * size, pageSize, slack),
    );
  }

  /** @param bitmapBytes of the largest cycle */
  static allocate(slots: number, pageSize: number, slack: number, bitmapBytes: number): RingMemory {
    return {
      control: new SharedArrayBuffer(jobsOffset(slots) + slots * wordsOfJob * 8),
      blocks: new SharedArrayBuffer(slots * PageBlock.bytesFor(pageSize, slack)),
      bitmap: new SharedArrayBuffer(bitmapBytes),
      slots,
      pageSize,
      slack,
    };
  }

  /** What a job's result goes into. */
  block(job: number): PageBlock {
    return this.#blocks[job % this.memory.slots]!;
  }

  /** Main thread: hands out a job whose slot is free. */
  publish(job: number, { kind, start, end, bitmap }: Job): void {
    const at = (job % this.memory.slots) * wordsOfJob;
    this.#jobs.set([jobKinds.indexOf(kind), start, end, bitmap.first, bitmap.length], at);
    Atomics.store(this.#control, published, job + 1);
    Atomics.notify(this.#control, published);
  }

  /** Takes the next job that nobody has; undefined when there is none. */
  claim(): number | undefined {
    for (;;) {
      const job = Atomics.load(this.#control, claimed);
      if (job >= Atomics.load(this.#control, published) || this.#isStopped()) return undefined;
      if (Atomics.compareExchange(this.#control, claimed, job, job + 1) === job) return job;
    }
  }

  /** Worker: sleeps until there may be a job. @returns false when there will be none any more */
  waitForJob(): boolean {
    const seen = Atomics.load(this.#control, published);
    if (!this.#isStopped() && Atomics.load(this.#control, claimed) >= seen)
      Atomics.wait(this.#control, published, seen);
    return !this.#isStopped();
  }

  job(job: number): Job {
    const at = (job % this.memory.slots) * wordsOfJob;
    const [kind, start, end, first, length] = [0, 1, 2, 3, 4].map((word) => this.#jobs[at + word]!) as [
      number,
      number,
      number,
      number,
      number,
    ];
    if (this.#bitmap === undefined || this.#bitmap.first !== first || this.#bitmap.length !== length) {
      const bytes = new Uint8Array(this.memory.bitmap);
      this.#bitmap = new PageBitmap(length, bytes.length, first, bytes);
    }
    return { kind: jobKinds[kind]!, start, end, bitmap: this.#bitmap };
  }

  /** Gives a claimed job back to the main thread: done, or to be done by somebody else. */
  finish(job: number, done: boolean): void {
    const word = states + (job % this.memory.slots);
    Atomics.store(this.#control, word, done ? job + 1 : -(job + 1));
    Atomics.notify(this.#control, word);
  }

  /** Main thread: how a published job stands. */
  stateOf(job: number): 'done' | 'refused' | 'open' {
    const state = Atomics.load(this.#control, states + (job % this.memory.slots));
    return state === job + 1 ? 'done' : state === -(job + 1) ? 'refused' : 'open';
  }

  /** Main thread: sleeps until a job may be done, or for so many milliseconds. */
  waitFor(job: number, milliseconds: number): void {
    const word = states + (job % this.memory.slots);
    const state = Atomics.load(this.#control, word);
    if (state !== job + 1 && state !== -(job + 1)) Atomics.wait(this.#control, word, state, milliseconds);
  }

  /** Main thread: no more jobs. Workers that sleep wake up and end. */
  stop(): void {
    Atomics.store(this.#control, stopped, 1);
    // The word that they sleep on changes, so that one that is about to sleep does not.
    Atomics.add(this.#control, published, 2 ** 30);
    Atomics.notify(this.#control, published);
  }

  /** Worker: the last thing that it does. */
  leave(): void {
    Atomics.add(this.#control, left, 1);
    Atomics.notify(this.#control, left);
  }

  /** Main thread: sleeps until so many workers have left, or for so many milliseconds. */
  waitUntilLeft(workers: number, milliseconds: number): void {
    const until = performance.now() + milliseconds;
    for (;;) {
      const gone = Atomics.load(this.#control, left);
      const time = until - performance.now();
      if (gone >= workers || time <= 0) return;
      Atomics.wait(this.#control, left, gone, time);
    }
  }

  /** Whether there may be more jobs. */
  get isOpen(): boolean {
    return !this.#isStopped();
  }

  #isStopped(): boolean {
    return Atomics.load(this.#control, stopped) !== 0;
  }
}
