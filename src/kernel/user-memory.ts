import { architectureNamed } from './architectures.ts';
import type { Kernel } from './kernel.ts';
import { isMissing, type Missing, type PhysicalMemory, VirtualMemory } from './memory.ts';
import type { KernelTask } from './tasks.ts';

/** Memory of a task's process, by its own page tables; undefined of a kernel thread. What was swapped out is unmapped. */
export function userMemory(
  { core }: Kernel,
  physical: PhysicalMemory,
  task: KernelTask,
): VirtualMemory | Missing | undefined {
  const mm = task.mm;
  if (isMissing(mm)) return mm;
  if (mm === 0n) return undefined;
  const table = core.object('mm_struct', mm).member('pgd').integer();
  if (isMissing(table)) return table;
  const root = core.memory.translate(table);
  if (isMissing(root)) return root;
  const arch = architectureNamed('x86_64')!;
  const translator = arch.processTranslator?.(core.info, physical, root.paddr);
  return translator === undefined ? undefined : new VirtualMemory(physical, translator);
}
