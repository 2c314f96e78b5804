import type { Frame } from '../../kernel/backtrace.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { KernelTask } from '../../kernel/tasks.ts';

/** Tasks that are in the same functions. */
export type TaskGroup = { readonly frames: readonly Frame[]; readonly tasks: readonly KernelTask[] };

/** Tasks by their backtraces: those that most tasks share first. */
export function groupTasks(kernel: Kernel, tasks: readonly KernelTask[]): TaskGroup[] {
  const groups = new Map<string, { frames: readonly Frame[]; tasks: KernelTask[] }>();
  for (const task of tasks) {
    const { frames, stop } = kernel.backtrace(task);
    const key = [...frames.map(({ ip, user }) => (user ? 'user' : ip)), stop.reason].join(' ');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { frames, tasks: [task] });
    else group.tasks.push(task);
  }
  return [...groups.values()].sort((a, b) => b.tasks.length - a.tasks.length);
}
