import { availableParallelism, freemem } from 'node:os';

/** What a thread takes: node's own memory for it, its share of blocks, its compressor. */
const bytesPerThread = 24 * 2 ** 20;
/** What is left alone: the main thread and the rest of a capture kernel. */
const reserve = 64 * 2 ** 20;
/** Gain flattens and memory does not: more is asked for explicitly. */
const most = 16;
/** Dumps that take less than starting a thread does. */
const smallInput = 64 * 2 ** 20;

/**
 * Threads that are worth having: one for each CPU, as far as free memory goes.
 * @param inputBytes size of the memory that the input describes
 */
export function chooseThreads(inputBytes: number): number {
  if (inputBytes < smallInput) return 1;
  const byMemory = 1 + Math.max(0, Math.floor((freemem() - reserve) / bytesPerThread));
  return Math.max(1, Math.min(availableParallelism(), byMemory, most));
}
