import { type KernelCore, known } from './core.ts';
import { hotPointer } from './cpus.ts';
import { isMissing } from './memory.ts';
import type { KernelTask } from './tasks.ts';

/** A stack that kernel code runs on. */
export type StackRange = {
  readonly kind: 'task' | 'irq' | 'exception' | 'entry';
  /** As crash(8) calls it: 'IRQ', 'NMI', 'DF'…; 'task' of a task's own. */
  readonly name: string;
  /** The first byte, and the byte after the last. */
  readonly start: bigint;
  readonly end: bigint;
};

export const onStack = (stack: StackRange | undefined, address: bigint): boolean =>
  stack !== undefined && address >= stack.start && address < stack.end;

/** IRQ_STACK_SIZE and THREAD_SIZE of kernels without KASAN, where the types do not tell. */
const usualStackBytes = 16_384n;

/** Bytes of a task's stack (THREAD_SIZE). */
export function taskStackBytes(core: KernelCore): bigint {
  const size = core.type('thread_union')?.size;
  if (size) return BigInt(size);
  const between = (first: string, last: string): bigint | undefined => {
    const [start, end] = [core.address(first), core.address(last)];
    return start !== undefined && end !== undefined && end > start ? end - start : undefined;
  };
  return between('__start_init_stack', '__end_init_stack') ?? usualStackBytes;
}

/** The stack of a task; undefined when it has given it back, or it cannot be told. */
export function taskStack(core: KernelCore, task: KernelTask): StackRange | undefined {
  const start = known(task.stack);
  return start ? { kind: 'task', name: 'task', start, end: start + taskStackBytes(core) } : undefined;
}

/**
 * The stacks of a CPU on x86_64: that of interrupts, those that the processor switches to for single exceptions
 * (struct cea_exception_stacks), and the one on which it enters the kernel (struct entry_stack).
 */
export function cpuStacks(core: KernelCore, cpu: number): StackRange[] {
  return [...irqStack(core, cpu), ...exceptionStacks(core, cpu)];
}

function irqStack(core: KernelCore, cpu: number): StackRange[] {
  // The pointer leads to the last word, or to the end.
  const top = hotPointer(core, 'hardirq_stack_ptr', cpu);
  if (!top) return [];
  const size = BigInt(core.type('irq_stack')?.size || Number(usualStackBytes));
  const end = ((top + 15n) / 16n) * 16n;
  return [{ kind: 'irq', name: 'IRQ', start: end - size, end }];
}

function exceptionStacks(core: KernelCore, cpu: number): StackRange[] {
  const base = core.perCpuPointer('cea_exception_stacks', cpu);
  const type = core.type('cea_exception_stacks');
  if (!base || type === undefined) return [];
  const stacks = type.members.flatMap(({ name, type: array, bitOffset }): StackRange[] => {
    const [, short] = /^(\w+)_stack$/.exec(name) ?? [];
    if (short === undefined || array.size === 0) return [];
    const start = base + BigInt(bitOffset / 8);
    return [{ kind: 'exception', name: short, start, end: start + BigInt(array.size) }];
  });
  const area = core.type('cpu_entry_area');
  const [own, entry] = [area?.place('estacks'), area?.place('entry_stack_page')];
  if (own === undefined || entry === undefined) return stacks;
  const start = base + BigInt(entry.offset - own.offset);
  return [...stacks, { kind: 'entry', name: 'entry', start, end: start + BigInt(entry.type.size) }];
}

/** All 8-byte words of a stack with their addresses, those on pages that are missing left out. */
export function* stackWords(
  core: KernelCore,
  from: bigint,
  to: bigint,
): Generator<{ readonly address: bigint; readonly word: bigint }> {
  for (let at = ((from + 7n) / 8n) * 8n; at < to; ) {
    const end = (at / 4096n + 1n) * 4096n;
    const length = Number((end < to ? end : to) - at);
    const bytes = core.memory.read(at, length);
    if (!isMissing(bytes)) {
      const words = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let i = 0; i + 8 <= length; i += 8)
        yield { address: at + BigInt(i), word: words.readBigUInt64LE(i) };
    }
    at += BigInt(length);
  }
}
