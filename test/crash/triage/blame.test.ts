import { describe, expect, test } from 'vitest';
import { blamedFrames, blamedNames } from '../../../src/crash/triage/blame.ts';
import { contextOf } from '../../../src/crash/triage/context.ts';
import { plainName } from '../../../src/crash/triage/frame-text.ts';
import { signatureOf } from '../../../src/crash/triage/signature.ts';
import { frame, interrupted, userMode } from './frames.ts';

const names = (...list: string[]) => list.map((name) => frame(name));
const oops = names(
  'machine_kexec',
  '__crash_kexec',
  'crash_kexec',
  'oops_end',
  'page_fault_oops',
  'exc_page_fault',
  'asm_exc_page_fault',
);
const call = [
  ...names('lab:lab_die', 'param_attr_store', 'vfs_write', 'do_syscall_64', 'entry_SYSCALL_64_after_hwframe'),
  userMode,
];
const tick = names(
  '__hrtimer_run_queues',
  'hrtimer_interrupt',
  '__sysvec_apic_timer_interrupt',
  'sysvec_apic_timer_interrupt',
  'asm_sysvec_apic_timer_interrupt',
);
const softirq = names(
  'call_timer_fn',
  '__run_timers',
  'handle_softirqs',
  '__irq_exit_rcu',
  'asm_sysvec_apic_timer_interrupt',
);

const first = (frames: Parameters<typeof blamedFrames>[0], waited = false) =>
  blamedFrames(frames, waited)[0]?.place?.symbol.name;

describe('who is to blame', () => {
  test('the function that faulted, not what handled it', () => {
    expect(first([...oops, interrupted('lab:lab_null'), ...call])).toBe('lab_null');
  });

  test('who called panic', () => {
    expect(
      first([...names('machine_kexec', '__crash_kexec', 'vpanic', 'panic', 'sysrq_handle_crash'), ...call]),
    ).toBe('sysrq_handle_crash');
  });

  test('what the tick of a watchdog interrupted; a timer that dies itself is its own', () => {
    const watchdog = names('machine_kexec', '__crash_kexec', 'panic', 'watchdog_timer_fn');
    expect(first([...watchdog, ...tick, interrupted('lab:lab_spin', 'interrupt'), ...call])).toBe('lab_spin');
    expect(first([...oops, interrupted('hrtimer_wakeup'), ...tick])).toBe('hrtimer_wakeup');
    expect(first([...oops, interrupted('__hrtimer_run_queues'), ...tick.slice(1)])).toBe(
      '__hrtimer_run_queues',
    );
  });

  test('of who sleeps, what it waits for', () => {
    const asleep = names('__schedule', 'schedule', 'schedule_timeout', 'wait_for_completion', 'lab:lab_wait');
    expect(first(asleep, true)).toBe('lab_wait');
    expect(first(asleep)).toBe('__schedule');
  });

  test("a module's function of such a name is its own", () => {
    expect(first(names('panic', 'lab:panic_now', 'vfs_write'))).toBe('panic_now');
  });

  test('nobody, when there is nothing else', () => {
    expect(blamedFrames([...names('machine_kexec', 'panic'), userMode])).toEqual([]);
    expect(blamedFrames([])).toEqual([]);
  });
});

describe('signature', () => {
  const of = (...frames: ReturnType<typeof frame>[]) => signatureOf('null-pointer', frames);

  test('does not depend on addresses, or on what the compiler adds', () => {
    const one = of(frame('f.isra.0'), frame('g'));
    const moved = of(frame('f', { ip: 1n }), frame('g.constprop.3.isra.0'));
    expect(moved).toEqual(one);
    expect(one.hash).toMatch(/^[0-9a-f]{16}$/);
    expect(of(frame('f'), frame('h')).hash).not.toBe(one.hash);
    expect(signatureOf('bug', [frame('f'), frame('g')]).hash).not.toBe(one.hash);
  });

  test('does not depend on the depth of a recursion, or on what was interrupted', () => {
    expect(blamedNames(names('f', 'f', 'f', 'g'), 5)).toEqual(['f', 'g']);
    expect(blamedNames([interrupted('f'), frame('g'), interrupted('h')], 5)).toEqual(['f', 'g']);
    expect(blamedNames([frame('lab:f'), ...softirq], 5)).toEqual(['lab:f', 'call_timer_fn', '__run_timers']);
  });

  test.each([
    ['f.cold', 'f'],
    ['f.part.0.constprop.12', 'f'],
    ['f.llvm.123', 'f'],
    ['f.part_of_it', 'f.part_of_it'],
  ])('%s is %s', (name, plain) => expect(plainName(name)).toBe(plain));
});

describe('what the CPU was doing', () => {
  test.each([
    ['process', [frame('f'), ...call]],
    ['softirq', [interrupted('f'), ...softirq, interrupted('g', 'interrupt'), ...call]],
    [
      'interrupt',
      [interrupted('f'), ...names('sysvec_x', 'asm_sysvec_x'), interrupted('g', 'interrupt'), ...call],
    ],
    ['nmi', [frame('f'), ...names('nmi_handle', 'exc_nmi'), interrupted('g'), ...call]],
    ['kernel-thread', names('f', 'kthread', 'ret_from_fork')],
    ['idle', names('native_safe_halt', 'do_idle')],
  ] as const)('%s', (context, frames) => expect(contextOf(frames)).toBe(context));
});
