import type { Kernel } from '../kernel/kernel.ts';
import { isMissing } from '../kernel/memory.ts';
import type { KernelTask } from '../kernel/tasks.ts';
import { hex, missingText, shown } from './text.ts';

/** The line above what a command says of a task. */
export const taskHeader = (task: KernelTask): string =>
  `PID: ${shown(task.pid).padEnd(7)}  TASK: ${hex(task.address)}  CPU: ${cpuText(task).padEnd(3)}  COMMAND: "${shown(task.comm)}"`;

export const cpuText = ({ cpu }: KernelTask): string => (cpu === undefined ? '-' : shown(cpu));

/** The name of a task's state, and whether it was running or panicked. */
export function describedState(kernel: Kernel, task: KernelTask): string {
  const { state } = task;
  if (isMissing(state)) return missingText(state);
  if (task.address === kernel.panicTask?.address) return `${state.name} (PANIC)`;
  return `${state.name} ${task.onCpu === undefined ? '' : '(ACTIVE)'}`;
}

/** PID of the task that made it; idle tasks have none. */
export function parentPid(kernel: Kernel, task: KernelTask): string {
  if (task.pid === 0) return '0';
  const { parent } = task;
  return isMissing(parent) ? missingText(parent) : shown(kernel.task(parent).pid);
}

/** All tasks in the order of their PIDs, as crash lists them; the idle tasks first. */
export const tasksByPid = (kernel: Kernel): KernelTask[] =>
  [...kernel.tasks].sort((a, b) => pidOrder(a) - pidOrder(b));

const pidOrder = ({ pid }: KernelTask): number => (isMissing(pid) ? Number.MAX_SAFE_INTEGER : pid);

/** Threads of the kernel are those without memory of their own, the idle tasks among them. */
export const isKernelTask = (task: KernelTask): boolean => task.isKernelThread || task.pid === 0;
