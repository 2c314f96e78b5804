import type { Frame } from '../../kernel/backtrace.ts';
import { plainName } from './frame-text.ts';

/** What the kernel does once something went wrong: functions that are in every trace of a crash and tell nothing of it. */
const crashing = [
  /^(machine_|__|)crash_kexec$|^machine_kexec$|^(crash|panic)_(nmi|smp)_\w+$|^crash_(setup_regs|save_cpu)$/,
  /^v?panic$|^nmi_panic(_self_stop)?$|^panic_\w+$|^check_panic_on_warn$|^add_taint$|^stop_this_cpu$/,
  /^oops_(begin|end|enter|exit)$|^__?die(_\w+)?$|^die(_addr)?$|^rewind_stack_\w+$|^make_task_dead$/,
  /^no_context$|^page_fault_oops$|^kernelmode_fixup_or_oops$|^(__)?bad_area\w*$|^fixup_exception$/,
  /^do_(user|kern)_addr_fault$|^(__)?do_page_fault$|^handle_page_fault$|^show_(regs|fault)\w*$/,
  /^(asm_)?exc_\w+$|^do_(error_)?trap\w*$|^handle_(bug|stack_overflow|invalid_op)$|^do_invalid_op$|^invalid_op$/,
  /^(do_)?general_protection$|^do_double_fault$|^double_fault$|^page_fault$|^async_page_fault$|^error_entry$/,
  /^(__)?report_bug(_entry)?$|^__warn(_\w+)?$|^warn_slowpath_\w+$|^__stack_chk_fail$|^delay_\w+$|^__const_udelay$/,
  /^nmi_handle$|^(default_)?do_nmi$|^end_repeat_nmi$|^nmi(_cpu_backtrace|_trigger)?\w*$|^unknown_nmi_error$/,
  /^watchdog_(timer_fn|overflow_callback|hardlockup_check|check_hardlockup\w*)$|^perf_event_nmi_handler$/,
  /^(__)?perf_event_overflow$|^(x86|intel|amd)_pmu_handle_irq\w*$|^handle_pmi_common$/,
  /^check_hung_(uninterruptible_tasks|task)$|^rcu_sched_clock_irq$|^(print_\w+_stall|check_cpu_stall|rcu_check_\w+)$/,
];
/** How the timer tick reaches a watchdog. */
const ticking = [
  /^__?hrtimer_run_queues$|^hrtimer_interrupt$|^(__|asm_|)(sysvec|smp)_\w+$|^apic_timer_interrupt$/,
  /^(asm_)?(sysvec_)?\w*apic_timer_interrupt$|^tick_\w+$|^update_process_times$|^instrument_irq\w*$|^run_sysvec_on\w+$/,
  /^asm_call_\w+$|^asm_common_interrupt$|^common_interrupt$|^ret_from_intr$|^call_on_irqstack\w*$/,
];
/** How a task gives its CPU away, and what it waits by. */
const waiting = [
  /^__schedule$|^__switch_to(_asm)?$|^(preempt_)?schedule(_\w+)?$|^io_schedule\w*$|^context_switch$/,
  /^(__)?wait_(for|on)_\w+$|^(__)?wait_\w*event\w*$|^do_wait\w*_common$|^bit_wait\w*$|^out_of_line_wait\w*$/,
  /^(__)?mutex_lock\w*$|^(__)?down(_\w+)?$|^rwsem_\w+$|^___?down_\w+$|^rt_mutex_\w+$|^folio_wait_\w+$|^msleep\w*$/,
];
/** What is at the outer end of every stack, and of what interrupted another. */
const entering =
  /^(do_syscall_64|entry_SYSCALL\w*|ret_from_fork(_asm)?|x64_sys_call|secondary_startup_64\w*|start_secondary|asm_\w+|sysvec_\w+|cpu_startup_entry|common_startup_64|kthread|worker_thread|__do_softirq|handle_softirqs|__softirqentry_text_start|nmi_handle)$/;

const matches = (patterns: readonly RegExp[], name: string): boolean =>
  patterns.some((pattern) => pattern.test(name));

/** Frames of the crash itself; `waited` leaves out how a task came to sleep as well. */
export function isMachinery({ place }: Frame, waited = false): boolean {
  if (place === undefined) return false;
  const name = plainName(place.symbol.name);
  return place.symbol.module === undefined && (matches(crashing, name) || (waited && matches(waiting, name)));
}

/**
 * The frames to blame, the innermost first: what was going on before the kernel noticed. Of a watchdog, which the timer
 * called, what the timer interrupted.
 */
export function blamedFrames(frames: readonly Frame[], waited = false): readonly Frame[] {
  let start = 0;
  let noticed = false;
  for (const [i, frame] of frames.entries()) {
    const name = plainName(frame.place?.symbol.name ?? '');
    noticed ||= /^watchdog_|^crash_nmi_callback$|^check_cpu_stall$/.test(name);
    if (!isMachinery(frame, waited) && !(noticed && matches(ticking, name))) break;
    start = i + 1;
  }
  return frames.slice(start).filter(({ user }) => !user);
}

/** Names that stay the same from crash to crash: without addresses, offsets, what the compiler adds, and repetitions. */
export function blamedNames(frames: readonly Frame[], most: number): string[] {
  const names: string[] = [];
  for (const [i, { place, registers }] of frames.entries()) {
    // What was interrupted has nothing to do with it.
    if (i > 0 && registers !== undefined) break;
    const name = place === undefined ? '?' : plainName(place.symbol.name);
    if (entering.test(name)) break;
    const text = place?.symbol.module ? `${place.symbol.module.name}:${name}` : name;
    if (names.at(-1) !== text) names.push(text);
    if (names.length === most) break;
  }
  return names;
}
