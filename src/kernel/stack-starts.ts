import { type Backtrace, followStack, stateOfRegisters, stateOfSlot } from './backtrace.ts';
import type { KernelCore } from './core.ts';
import { known } from './core.ts';
import type { Registers } from './registers.ts';
import { onStack, type StackRange, stackWords } from './stacks.ts';
import type { KernelTask } from './tasks.ts';
import type { Unwinder } from './unwind.ts';

/** Functions that a CPU is in when it stands still for ever after a crash. */
const lastFunctions: ReadonlySet<string> = new Set(['machine_kexec', 'crash_nmi_callback']);
/** The function whose own registers a panic saves. */
const crashFunction = '__crash_kexec';
/** Candidates that are tried on the stacks of one CPU. */
const maxCandidates = 32;

/** Registers that the function that was called may have pushed before rbp. */
const maxPushed = 8;

/** The stack of a task that is not running: what __switch_to_asm left at its end (struct inactive_task_frame). */
export function traceSwitchedOut(core: KernelCore, unwinder: Unwinder, task: KernelTask): Backtrace {
  const saved = task.object.find('thread.sp');
  const sp = saved?.integer();
  if (sp === undefined || typeof sp !== 'bigint')
    return {
      frames: [],
      stop: sp === undefined ? { reason: 'no-registers' } : { reason: 'missing', missing: sp },
    };
  const frame = core.object('inactive_task_frame', sp);
  const ip = frame.member('ret_addr').integer();
  const bp = frame.member('bp').integer();
  if (typeof ip !== 'bigint') return { frames: [], stop: { reason: 'missing', missing: ip } };
  const slot = frame.member('ret_addr').address;
  const start = stateOfSlot(slot, ip, known(bp));
  // A task that has never run begins at the first instruction behind the fork.
  const name = unwinder.symbols.at(ip);
  const fresh = name?.offset === 0 && name.symbol.name.startsWith('ret_from_fork');
  return followStack(unwinder, fresh ? { ...start, signal: true } : start);
}

/**
 * The stack of a CPU that saved registers. They are those of what it did when it was stopped or when it faulted; what it
 * did afterwards lies on the stacks as well, and is taken from there when it leads to these very registers.
 */
export function traceCpu(
  core: KernelCore,
  unwinder: Unwinder,
  registers: Registers,
  stacks: readonly StackRange[],
): Backtrace {
  let tried = 0;
  for (const { slot, ip } of candidates(core, unwinder, stacks)) {
    if (++tried > maxCandidates) break;
    for (const bp of framePointers(core, unwinder, slot, registers)) {
      const trace = followStack(unwinder, stateOfSlot(slot, ip, bp));
      if (leadsTo(trace, unwinder, registers)) return trace;
    }
  }
  return followStack(unwinder, stateOfRegisters(registers));
}

/** Words on the stacks that are return addresses in a function that a CPU ends in. */
function* candidates(
  core: KernelCore,
  { symbols }: Unwinder,
  stacks: readonly StackRange[],
): Generator<{ slot: bigint; ip: bigint }> {
  // Static functions share names.
  const ranges = [...lastFunctions]
    .flatMap((name) => symbols.all(name))
    .map(({ address: start }) => ({ start, end: start + BigInt(symbols.at(start)?.size ?? 0) }));
  for (const stack of stacks) {
    for (const { address, word } of stackWords(core, stack.start, stack.end)) {
      if (ranges.some(({ start, end }) => word > start && word <= end)) yield { slot: address, ip: word };
    }
  }
}

/** What rbp may have been when that call was made: with frame pointers, what the function that was called saved. */
function framePointers(
  core: KernelCore,
  { orc, stackOf }: Unwinder,
  slot: bigint,
  registers: Registers,
): (bigint | undefined)[] {
  if (orc !== undefined) return [registers.rbp];
  const stack = stackOf(slot);
  const saved = Array.from({ length: maxPushed }, (_, i) => known(core.u64(slot - BigInt(8 * (i + 1)))));
  return [...saved.filter((bp) => bp !== undefined && bp > slot && onStack(stack, bp)), undefined];
}

/**
 * Whether a trace holds what the registers tell: the interrupted function with the same registers; or __crash_kexec, which
 * saved its own, at the depth where it did. A function that does this for it, where the compiler made one of it, is one
 * call deeper.
 */
function leadsTo({ frames }: Backtrace, { symbols }: Unwinder, { rip, rsp }: Registers): boolean {
  const saver = symbols.at(rip)?.symbol.name;
  const depth = saver === crashFunction ? rsp : saver === 'crash_setup_regs' ? rsp + 8n : undefined;
  return frames.some(
    ({ registers, place, sp }) =>
      (registers?.rip === rip && registers.rsp === rsp) ||
      (place?.symbol.name === crashFunction && sp === depth),
  );
}
