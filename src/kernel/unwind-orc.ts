import type { OrcEntry, OrcRegister } from '../formats/orc.ts';
import { byCallSite, mayBeCode } from './call-site.ts';
import type { KernelCore } from './core.ts';
import { isMissing, type Missing } from './memory.ts';
import type { OrcLookup } from './orc-tables.ts';
import { type RegisterName, type Registers, readPushed, readRegisters } from './registers.ts';
import type { Unwinder, UnwindState, UnwindStop } from './unwind.ts';

/** The state behind a state by the kernel's tables (arch/x86/kernel/unwind_orc.c, unwind_next_frame). */
export function orcStep(unwinder: Unwinder, orc: OrcLookup, state: UnwindState): UnwindState | UnwindStop {
  const lookup = state.signal ? state.ip : state.ip - 1n;
  // A call through a NULL pointer has pushed its return address and nothing else.
  const entry = state.ip === 0n ? nullEntry : orc.find(lookup);
  if (entry === undefined) return byFramePointer(unwinder, state);
  if (entry.type === 'end') return { reason: 'end' };
  if (entry.type === 'undefined') return byCallSite(unwinder, state);

  const sp = stackPointer(unwinder.core, entry, state);
  if (typeof sp !== 'bigint') return sp;
  switch (entry.type) {
    case 'call':
      return returnFromCall(unwinder, state, entry, sp);
    case 'registers':
      return interrupted(unwinder, state, entry, sp, readRegisters(unwinder.core.memory, sp), true);
    case 'partial':
      return interrupted(unwinder, state, entry, sp, readPushed(unwinder.core.memory, sp), false);
  }
}

const nullEntry: OrcEntry = {
  sp: 'sp',
  spOffset: 8,
  bp: 'undefined',
  bpOffset: 0,
  type: 'call',
  signal: false,
};

/** What frames of code without a table look like when it keeps a frame pointer: programs of BPF, ftrace's trampolines. */
const framePointerEntry: OrcEntry = {
  sp: 'bp',
  spOffset: 16,
  bp: 'previous-sp',
  bpOffset: -16,
  type: 'call',
  signal: false,
};

function returnFromCall(
  { core, symbols }: Unwinder,
  state: UnwindState,
  entry: OrcEntry,
  sp: bigint,
): UnwindState | UnwindStop {
  const slot = sp - 8n;
  const ip = core.u64(slot);
  if (isMissing(ip)) return { reason: 'missing', missing: ip };
  const bp = framePointer(core, entry, state, sp, undefined);
  if (typeof bp === 'object') return bp;
  if (!mayBeCode(core, symbols, ip)) return { reason: 'no-code', ip };
  return {
    ip,
    sp,
    bp,
    slot,
    signal: entry.signal,
    registers: undefined,
    previous: undefined,
    certain: state.certain,
  };
}

function interrupted(
  { core }: Unwinder,
  state: UnwindState,
  entry: OrcEntry,
  sp: bigint,
  registers: Registers | Missing,
  full: boolean,
): UnwindState | UnwindStop {
  if (isMissing(registers)) return { reason: 'missing', missing: registers };
  // A thread of the kernel was not called from anywhere: its registers are empty.
  if (registers.rip === 0n && registers.cs === 0n) return { reason: 'end' };
  const previous = full ? undefined : (state.previous ?? whole(state.registers));
  const bp = framePointer(core, entry, state, sp, full ? registers : previous);
  if (typeof bp === 'object') return bp;
  return {
    ip: registers.rip,
    sp: registers.rsp,
    bp,
    slot: undefined,
    signal: entry.signal,
    registers,
    previous,
    certain: state.certain,
  };
}

/** Code that no table describes, but that lies outside the kernel's image and modules. */
function byFramePointer(unwinder: Unwinder, state: UnwindState): UnwindState | UnwindStop {
  if (state.bp === undefined || unwinder.symbols.at(state.ip - 1n) !== undefined)
    return { reason: 'unknown-code', ip: state.ip };
  const next = returnFromCall(unwinder, { ...state, certain: false }, framePointerEntry, state.bp + 16n);
  if ('reason' in next) return next;
  // A guess that leads nowhere is no frame.
  const isCode = unwinder.symbols.at(next.ip - 1n) !== undefined && next.sp > state.sp;
  return isCode ? next : { reason: 'unknown-code', ip: state.ip };
}

/** The stack pointer before the call or interrupt. */
function stackPointer(core: KernelCore, entry: OrcEntry, state: UnwindState): bigint | UnwindStop {
  const offset = BigInt(entry.spOffset);
  switch (entry.sp) {
    case 'sp':
      return state.sp + offset;
    case 'sp-indirect': {
      // A stack that was switched to. Before 5.12 it meant *(sp + offset), which no table of that age uses (5.10: none
      // of 332,810 entries; 6.1 has the first, 37 in the code that changes to the stack for interrupts).
      const value = core.u64(state.sp);
      return isMissing(value) ? { reason: 'missing', missing: value } : value + offset;
    }
    case 'bp':
      return state.bp === undefined ? lost('rbp', state) : state.bp + offset;
    case 'bp-indirect': {
      if (state.bp === undefined) return lost('rbp', state);
      const value = core.u64(state.bp + offset);
      return isMissing(value) ? { reason: 'missing', missing: value } : value;
    }
    default: {
      const name = fullNames[entry.sp];
      if (name === undefined) return { reason: 'unknown-code', ip: state.ip };
      const value = (whole(state.registers) ?? state.previous)?.[name];
      return value === undefined ? lost(name, state) : value + offset;
    }
  }
}

/** The frame pointer before it; undefined when it is not known. */
function framePointer(
  core: KernelCore,
  entry: OrcEntry,
  state: UnwindState,
  sp: bigint,
  registers: Registers | undefined,
): bigint | undefined | UnwindStop {
  switch (entry.bp) {
    case 'previous-sp':
      return wordAt(core, sp + BigInt(entry.bpOffset));
    case 'bp':
      return state.bp === undefined ? undefined : wordAt(core, state.bp + BigInt(entry.bpOffset));
    default:
      return registers?.rbp ?? state.bp;
  }
}

function wordAt(core: KernelCore, address: bigint): bigint | UnwindStop {
  const word = core.u64(address);
  return isMissing(word) ? { reason: 'missing', missing: word } : word;
}

const lost = (register: string, { ip }: UnwindState): UnwindStop => ({
  reason: 'lost-register',
  register,
  ip,
});

const fullNames: Readonly<Partial<Record<OrcRegister, RegisterName>>> = {
  ax: 'rax',
  dx: 'rdx',
  di: 'rdi',
  r10: 'r10',
  r13: 'r13',
};

/** Registers of which none is left out. */
const whole = (registers: Registers | undefined): Registers | undefined =>
  registers?.rax === undefined ? undefined : registers;
