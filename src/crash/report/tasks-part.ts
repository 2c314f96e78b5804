import { known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { runQueueClock } from '../facts.ts';
import { blamedFrames } from '../triage/blame.ts';
import { frameText } from '../triage/frame-text.ts';

export type WaitingTask = {
  readonly pid: number | null;
  readonly comm: string | null;
  /** Since it last ran; null when the kernel does not keep that. */
  readonly seconds: number | null;
  readonly trace: readonly string[];
};

export type TasksPart = {
  readonly total: number;
  /** Tasks in each state, by the letters of ps. */
  readonly states: Readonly<Record<string, number>>;
  /** Those that wait and cannot be interrupted, the longest first. */
  readonly blocked: readonly WaitingTask[];
  /** What is wrong with the lists of tasks. */
  readonly damaged: boolean;
};

const mostBlocked = 10;
const mostFrames = 8;

/** All tasks by state, and who waits longest. */
export function tasksPart(kernel: Kernel): TasksPart {
  const { tasks, damage } = kernel.taskList;
  const states: Record<string, number> = {};
  const waiting: { task: KernelTask; since: bigint | undefined }[] = [];
  for (const task of tasks) {
    const code = known(task.state)?.code ?? '??';
    states[code] = (states[code] ?? 0) + 1;
    if (code === 'UN') waiting.push({ task, since: known(task.lastRun) });
  }
  const now = kernel.cpus.reduce((latest, { cpu }) => {
    const clock = runQueueClock(kernel, cpu) ?? 0n;
    return clock > latest ? clock : latest;
  }, 0n);
  // Who ran first of all waits longest; of whom nothing is kept comes last.
  const order = (since: bigint | undefined): number =>
    since === undefined ? Number.MAX_VALUE : Number(since);
  waiting.sort((a, b) => order(a.since) - order(b.since));
  return {
    total: tasks.length,
    states,
    damaged: damage.length > 0,
    blocked: waiting.slice(0, mostBlocked).map(({ task, since }) => ({
      pid: known(task.pid) ?? null,
      comm: known(task.comm) ?? null,
      seconds: since === undefined || now < since ? null : Number(now - since) / 1e9,
      trace: blamedFrames(kernel.backtrace(task).frames, true).slice(0, mostFrames).map(frameText),
    })),
  };
}
