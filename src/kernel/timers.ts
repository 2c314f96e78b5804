import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import type { KernelObject } from './object.ts';
import { walkRbTree } from './rbtree.ts';

/** A timer that is armed: of the wheel (in jiffies), or a high-resolution one (in nanoseconds). */
export type Timer = {
  readonly address: bigint;
  readonly expires: bigint;
  readonly softExpires: bigint;
  /** Address of what is called. */
  readonly function: bigint;
};

export type TimerBase = {
  readonly address: bigint;
  readonly name: string;
  readonly timers: readonly Timer[];
};

const mostTimers = 65_536;
const wheelNames: Readonly<Record<number, readonly string[]>> = {
  1: ['BASE_STD'],
  2: ['BASE_STD', 'BASE_DEF'],
  3: ['BASE_LOCAL', 'BASE_GLOBAL', 'BASE_DEF'],
};

/** The timer wheels of a CPU, their timers in the order in which they expire. */
export function timerWheels(kernel: Kernel, cpu: number): TimerBase[] {
  const first = kernel.perCpu('timer_bases', cpu);
  const variable = kernel.typeOf('timer_bases')?.bare;
  const type = kernel.core.type('timer_base');
  if (typeof first !== 'bigint' || type === undefined) return [];
  const count = variable?.kind === 'array' ? variable.length : 2;
  return Array.from({ length: count }, (_, i) => {
    const base = kernel.object(type, first + BigInt(i * type.size));
    return {
      address: base.address,
      name: wheelNames[count]?.[i] ?? String(i),
      timers: wheelTimers(kernel, base),
    };
  });
}

function wheelTimers(kernel: Kernel, base: KernelObject): Timer[] {
  const vectors = base.member('vectors');
  const timers: Timer[] = [];
  for (let i = 0; i < vectors.type.bare.length; i++) {
    const seen = new Set<bigint>();
    let at = known(kernel.core.u64(vectors.address + BigInt(8 * i)));
    while (at && !seen.has(at) && timers.length < mostTimers) {
      seen.add(at);
      const timer = kernel.containerOf(at, 'timer_list', 'entry');
      const expires = known(timer.member('expires').integer());
      const callee = known(timer.member('function').integer());
      if (expires !== undefined && callee !== undefined)
        timers.push({ address: timer.address, expires, softExpires: expires, function: callee });
      at = known(kernel.core.u64(at));
    }
  }
  return timers.sort((a, b) => (a.expires < b.expires ? -1 : a.expires > b.expires ? 1 : 0));
}

/** The clocks of a CPU with their high-resolution timers. */
export function hrtimerBases(
  kernel: Kernel,
  cpu: number,
): { address: bigint; clocks: TimerBase[] } | undefined {
  const address = kernel.perCpu('hrtimer_bases', cpu);
  const type = kernel.core.type('hrtimer_clock_base');
  if (typeof address !== 'bigint' || type === undefined) return undefined;
  const bases = kernel.object('hrtimer_cpu_base', address).member('clock_base');
  const link = BigInt(kernel.core.type('hrtimer')!.place('node')!.offset);
  const clocks = Array.from({ length: bases.type.bare.length }, (_, i) => {
    const clock = kernel.object(type, bases.address + BigInt(i * type.size));
    const read = clock.find('get_time')?.integer();
    const name = typeof read === 'bigint' ? (kernel.symbolAt(read)?.symbol.name ?? '') : '';
    const { nodes } = walkRbTree(kernel.core.memory, clock.member('active').address);
    const timers = nodes.map((node): Timer => {
      const timer = kernel.object('hrtimer', node - link);
      const expires = known(timer.member('node.expires').integer()) ?? 0n;
      return {
        address: timer.address,
        expires,
        softExpires: known(timer.member('_softexpires').integer()) ?? expires,
        function: known(timer.member('function').integer()) ?? 0n,
      };
    });
    return { address: clock.address, name, timers };
  });
  return { address, clocks };
}
