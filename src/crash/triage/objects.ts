import type { Frame } from '../../kernel/backtrace.ts';
import { known } from '../../kernel/core.ts';
import { pathOf, pathOfFile } from '../../kernel/file-path.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { SlabObject } from '../../kernel/memory-map.ts';
import { type StackRange, stackWords } from '../../kernel/stacks.ts';
import { hexText } from './frame-text.ts';

/** An object of the kernel that words on a stack lead to. */
export type StackObject = {
  readonly cache: string;
  readonly address: string;
  /** What it is: the path of a file, the name of a task; undefined when its kind has no such name. */
  readonly text: string | undefined;
  /** Words that lead to it. */
  readonly words: number;
};

/** Caches of objects that say something about what was going on, in the order in which they are of interest. */
const telling: readonly (readonly [
  cache: RegExp,
  describe: (kernel: Kernel, at: bigint) => string | undefined,
])[] = [
  [/^filp$/, (kernel, at) => pathOfFile(kernel, kernel.object('file', at))],
  [/^dentry$/, (kernel, at) => pathOf(kernel, kernel.object('dentry', at))],
  [/^task_struct$/, (kernel, at) => taskText(kernel, at)],
  [/^mm_struct$/, ownerText],
  [/^kmem_cache$/, (kernel, at) => known(kernel.object('kmem_cache', at).member('name').text())],
];

/** What an object of a slab is, in a few words. */
export function objectText(kernel: Kernel, { cache, address }: SlabObject): string | undefined {
  const describe = telling.find(([pattern]) => pattern.test(cache))?.[1];
  try {
    const text = describe?.(kernel, address);
    // What was freed and used again reads as anything.
    return text !== undefined && /^[\x20-\x7e\xa0-\xff]+$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function taskText(kernel: Kernel, address: bigint): string | undefined {
  const task = kernel.task(address);
  const [comm, pid] = [known(task.comm), known(task.pid)];
  return comm === undefined || pid === undefined ? undefined : `${comm} (pid ${pid})`;
}

function ownerText(kernel: Kernel, address: bigint): string | undefined {
  const owner = known(kernel.object('mm_struct', address).find('owner')?.integer());
  return owner ? `memory of ${taskText(kernel, owner)}` : undefined;
}

/** Words of stacks that are looked at; a trace has one stack of 16 KiB or two. */
const mostWords = 16_384;

/**
 * Objects that the live part of the stacks of a trace leads to: arguments and variables of its functions. A word that is
 * left over from an earlier call may be among them.
 */
export function stackObjects(kernel: Kernel, frames: readonly Frame[]): StackObject[] {
  const found = new Map<string, { object: SlabObject; words: number }>();
  const count = (word: bigint): void => {
    const object = kernel.memoryMap.objectAt(word);
    if (object === undefined) return;
    const key = `${object.cache} ${object.address}`;
    found.set(key, { object, words: (found.get(key)?.words ?? 0) + 1 });
  };
  let left = mostWords;
  for (const { from, to } of liveParts(frames)) {
    for (const { word } of stackWords(kernel.core, from, to)) if (left-- > 0) count(word);
  }
  for (const { registers, user } of frames) {
    if (!user && registers !== undefined) for (const word of Object.values(registers)) count(word);
  }
  return [...found.values()]
    .map(({ object, words }) => ({
      cache: object.cache,
      address: hexText(object.address),
      text: objectText(kernel, object),
      words,
    }))
    .sort((a, b) => rank(a) - rank(b) || b.words - a.words);
}

/** Named ones first, by kind. */
const rank = ({ cache, text }: StackObject): number => {
  const kind = telling.findIndex(([pattern]) => pattern.test(cache));
  return text === undefined || kind < 0 ? telling.length : kind;
};

/** From the innermost frame on each stack to the stack's end. */
function liveParts(frames: readonly Frame[]): { from: bigint; to: bigint }[] {
  const parts = new Map<StackRange, bigint>();
  for (const { stack, sp } of frames) {
    const lowest = stack && parts.get(stack);
    if (stack !== undefined && (lowest === undefined || sp < lowest)) parts.set(stack, sp);
  }
  return [...parts].map(([{ end }, from]) => ({ from, to: end }));
}
