import type { TaskFacts } from '../triage/triage.ts';
import { hasFailed, type Report } from './build.ts';

/** What a report is about, in one line. */
export function titleOf({ system, crash, dump }: Report): string {
  const facts = hasFailed(system) ? undefined : system;
  const node = facts?.nodename && facts.nodename !== '(none)' ? ` of ${facts.nodename}` : '';
  const release = facts?.release ? ` (Linux ${facts.release})` : '';
  if (dump.format === 'live') return `Running kernel${node}${release}`;
  const kind = hasFailed(crash) ? 'Crash' : `Crash: ${crash.signature.class}`;
  return `${kind}${node}${release}`;
}

export const taskText = ({ comm, pid, cpu, state, address }: TaskFacts): string =>
  `${comm ?? '?'} (pid ${pid ?? '?'}), CPU ${cpu ?? '?'}, ${state ?? 'unknown state'}, task_struct ${address}`;

/** '2026-11-21 04:10:10 UTC'. @param seconds since the epoch */
export const timeText = (seconds: number): string =>
  `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** '7 d 06:37:46', '00:08:02', '6.9 s'. */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const days = Math.floor(whole / 86_400);
  const clock = `${two((whole % 86_400) / 3600)}:${two((whole % 3600) / 60)}:${two(whole % 60)}`;
  return days === 0 ? clock : `${days} d ${clock}`;
}
