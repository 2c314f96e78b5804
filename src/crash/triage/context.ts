import type { Frame } from '../../kernel/backtrace.ts';

/** What a CPU was doing when something went wrong. */
export type Context = 'process' | 'kernel-thread' | 'softirq' | 'interrupt' | 'nmi' | 'idle';

/** By the functions from the blamed one outwards: what was entered last decides. */
export function contextOf(frames: readonly Frame[]): Context {
  for (const [i, { place, kind }] of frames.entries()) {
    const name = place?.symbol.name ?? '';
    if (/^(asm_)?exc_nmi$|^end_repeat_nmi$|^nmi_handle$/.test(name)) return 'nmi';
    if (/^(__do_softirq|handle_softirqs|__softirqentry_text_start|run_ksoftirqd)$/.test(name))
      return 'softirq';
    if (i > 0 && kind === 'interrupt') return 'interrupt';
    if (/^(do_idle|cpu_startup_entry|cpuidle_\w+|default_idle\w*)$/.test(name)) return 'idle';
    if (/^(kthread|worker_thread)$/.test(name)) return 'kernel-thread';
  }
  return 'process';
}
