import type { Registers } from './registers.ts';
import type { StackRange } from './stacks.ts';
import type { SymbolPlace } from './symbol-table.ts';
import type { Unwinder, UnwindState, UnwindStop } from './unwind.ts';
import { framePointerStep } from './unwind-frame-pointer.ts';
import { orcStep } from './unwind-orc.ts';

/** One function of a backtrace. */
export type Frame = {
  /** The instruction it goes on with, or was interrupted at. */
  readonly ip: bigint;
  /** What that is called; of a return address, the function that called. Undefined in user mode and in unknown code. */
  readonly place: SymbolPlace | undefined;
  /** Its stack pointer. */
  readonly sp: bigint;
  /** Address of the word on the stack that holds `ip`, which crash(8) prints in brackets; undefined after an interrupt. */
  readonly slot: bigint | undefined;
  /**
   * How the frame above it, the next one in, was reached from here: by a call, or because the processor was interrupted
   * here, in which case `registers` tells what it saved.
   */
  readonly kind: 'call' | 'interrupt' | 'exception' | 'syscall';
  readonly registers: Registers | undefined;
  /** User mode: the last frame. */
  readonly user: boolean;
  /** False when a guess led here. */
  readonly certain: boolean;
  /** The stack that it is on. */
  readonly stack: StackRange | undefined;
};

export type Backtrace = {
  /** The innermost first. */
  readonly frames: readonly Frame[];
  readonly stop: UnwindStop;
};

/** Frames that are followed; a stack of 16 KiB has room for some hundred. */
const maxFrames = 1024;

/** Follows a stack to its end. Never throws for what it finds there: it stops and says why. */
export function followStack(unwinder: Unwinder, start: UnwindState): Backtrace {
  const frames: Frame[] = [];
  const seen = new Set<string>();
  for (let state = start; ; ) {
    const frame = frameOf(unwinder, state, frames.at(-1));
    frames.push(frame);
    if (frame.user) return { frames, stop: { reason: 'user' } };
    const key = `${state.ip} ${state.sp}`;
    if (seen.has(key) || frames.length === maxFrames) return { frames, stop: { reason: 'loop' } };
    seen.add(key);
    const next = unwindStep(unwinder, state);
    if ('reason' in next) return { frames, stop: next };
    // A call takes room on the stack that it was made on.
    const stack = unwinder.stackOf(state.sp);
    const isBack = stack !== undefined && next.sp <= state.sp && next.sp > stack.start;
    if (isBack && next.registers === undefined) return { frames, stop: { reason: 'loop' } };
    state = next;
  }
}

function frameOf(unwinder: Unwinder, state: UnwindState, before: Frame | undefined): Frame {
  const { ip, sp, slot, registers, certain } = state;
  const user = registers !== undefined && ((registers.cs ?? 0n) & 3n) === 3n;
  const place = user ? undefined : symbolised(unwinder, ip, state.signal);
  // A fresh task returns from a fork that it never called.
  const kind = registers === undefined ? 'call' : kindOfEntry(before?.place?.symbol.name, user, registers);
  return { ip, place, sp, slot, kind, registers, user, certain, stack: unwinder.stackOf(sp) };
}

/** A return address stands for the call before it: what follows a call that never returns is another function. */
function symbolised({ symbols }: Unwinder, ip: bigint, signal: boolean): SymbolPlace | undefined {
  if (signal) return symbols.at(ip);
  const place = symbols.at(ip - 1n);
  return place && { ...place, offset: place.offset + 1 };
}

/** By the name of the code through which the kernel was entered (arch/x86/entry). */
function kindOfEntry(
  name: string | undefined,
  user: boolean,
  registers: Registers,
): 'interrupt' | 'exception' | 'syscall' {
  if (name === undefined) return user && isSystemCall(registers) ? 'syscall' : 'exception';
  if (/^(entry_|ret_from_fork|int80_|do_syscall|x32_)/.test(name)) return 'syscall';
  return /^(asm_sysvec_|asm_common_interrupt|asm_spurious|common_interrupt|ret_from_intr|asm_call_|apic_)/.test(
    name,
  )
    ? 'interrupt'
    : 'exception';
}

/** orig_rax is the number of a system call; of interrupts and exceptions it is negative or an error code. */
const isSystemCall = ({ orig_rax: number }: Registers): boolean =>
  number !== undefined && BigInt.asIntN(64, number) >= 0n && number < 1024n;

/** A state that begins with registers. */
export function stateOfRegisters(registers: Registers): UnwindState {
  return {
    ip: registers.rip,
    sp: registers.rsp,
    bp: registers.rbp,
    signal: true,
    slot: undefined,
    registers,
    previous: undefined,
    certain: true,
  };
}

/** A state in the middle of a stack: a word that holds a return address. */
export function stateOfSlot(slot: bigint, ip: bigint, bp: bigint | undefined): UnwindState {
  return {
    ip,
    sp: slot + 8n,
    bp,
    signal: false,
    slot,
    registers: undefined,
    previous: undefined,
    certain: true,
  };
}

/** The state behind a state: its caller, or what was interrupted; or why there is none. */
function unwindStep(unwinder: Unwinder, state: UnwindState): UnwindState | UnwindStop {
  if (unwinder.orc !== undefined) return orcStep(unwinder, unwinder.orc, state);
  return unwinder.framePointers ? framePointerStep(unwinder, state) : { reason: 'no-unwinder' };
}
