import { byCallSite, findCaller, mayBeCode } from './call-site.ts';
import { type KernelCore, known } from './core.ts';
import { isMissing } from './memory.ts';
import { type Registers, readRegisters, registerBytes } from './registers.ts';
import type { Unwinder, UnwindState, UnwindStop } from './unwind.ts';

/**
 * The state behind a state in kernels that keep frame pointers (CONFIG_UNWINDER_FRAME_POINTER, as Ubuntu's; see
 * arch/x86/kernel/unwind_frame.c): rbp leads to the caller's rbp, behind which is the return address. Where the kernel
 * was entered, rbp is the address of the saved registers plus one.
 */
export function framePointerStep(unwinder: Unwinder, state: UnwindState): UnwindState | UnwindStop {
  const { core, symbols, stackOf } = unwinder;
  const bare = state.signal ? withoutFrame(unwinder, state) : undefined;
  if (bare !== undefined) return bare;
  const { bp } = state;
  if (bp === undefined) return byCallSite(unwinder, state);
  if ((bp & 1n) !== 0n) return interrupted(core, state, bp - 1n);
  if (bp === 0n) return entered(unwinder, state);
  if (stackOf(bp) === undefined) return { reason: 'lost-register', register: 'rbp', ip: state.ip };
  return called(core, state, bp + 8n, known(core.u64(bp)), (ip) => mayBeCode(core, symbols, ip));
}

/** Whether a kernel keeps frame pointers: then its functions begin with push %rbp and mov %rsp,%rbp. */
export function keepsFramePointers(core: KernelCore): boolean {
  const start = core.address('schedule');
  return start !== undefined && frameBegins(core, start) !== undefined;
}

function called(
  core: KernelCore,
  state: UnwindState,
  slot: bigint,
  bp: bigint | undefined,
  isCode: (ip: bigint) => boolean,
): UnwindState | UnwindStop {
  const ip = core.u64(slot);
  if (isMissing(ip)) return { reason: 'missing', missing: ip };
  if (!isCode(ip)) return { reason: 'no-code', ip };
  const rest = { signal: false, registers: undefined, previous: undefined, certain: state.certain };
  return { ip, sp: slot + 8n, bp, slot, ...rest };
}

function interrupted(core: KernelCore, state: UnwindState, address: bigint): UnwindState | UnwindStop {
  const registers = readRegisters(core.memory, address);
  if (isMissing(registers)) return { reason: 'missing', missing: registers };
  if (registers.rip === 0n && registers.cs === 0n) return { reason: 'end' };
  return behind(registers, state);
}

const behind = (registers: Registers, { certain }: UnwindState): UnwindState => ({
  ip: registers.rip,
  sp: registers.rsp,
  bp: registers.rbp,
  slot: undefined,
  signal: true,
  registers,
  previous: undefined,
  certain,
});

/** Nothing called this one. A system call clears rbp as it enters; what it saved lies at the end of the task's stack. */
function entered({ core, stackOf }: Unwinder, state: UnwindState): UnwindState | UnwindStop {
  const stack = stackOf(state.sp);
  const left = stack === undefined ? 0n : stack.end - state.sp - BigInt(registerBytes);
  // Since 6.9 there is room for two words of FRED behind the registers.
  if (stack?.kind !== 'task' || (left !== 0n && left !== 16n)) return { reason: 'end' };
  const registers = readRegisters(core.memory, state.sp);
  if (isMissing(registers)) return { reason: 'missing', missing: registers };
  return ((registers.cs ?? 0n) & 3n) === 3n ? behind(registers, state) : { reason: 'end' };
}

/**
 * The caller of a function that was interrupted while it had no frame of its own: at its very beginning, or because it
 * makes none. Undefined when it has one.
 */
function withoutFrame({ core, symbols, stackOf }: Unwinder, state: UnwindState): UnwindState | undefined {
  const place = symbols.at(state.ip);
  if (place === undefined) {
    // A call through a wild pointer has pushed its return address and nothing else.
    const next = called(core, state, state.sp, state.bp, (ip) => mayBeCode(core, symbols, ip));
    return 'reason' in next ? undefined : next;
  }
  const start = place.symbol.address;
  const begins = frameBegins(core, start);
  const offset = BigInt(place.offset);
  const at = (slot: bigint): UnwindState | undefined => {
    const next = called(core, state, slot, state.bp, (ip) => mayBeCode(core, symbols, ip));
    return 'reason' in next ? undefined : next;
  };
  if (begins !== undefined) {
    if (offset <= begins.push) return at(state.sp);
    return offset <= begins.move ? at(state.sp + 8n) : undefined;
  }
  const site = findCaller(core, symbols, start, state.sp, stackOf(state.sp));
  const isNearer = state.bp === undefined || (state.bp & 1n) !== 0n || (site?.slot ?? state.bp) < state.bp;
  return site !== undefined && isNearer ? at(site.slot) : undefined;
}

/** Offsets of push %rbp and of mov %rsp,%rbp behind it, when a function begins with them. */
function frameBegins(core: KernelCore, start: bigint): { push: bigint; move: bigint } | undefined {
  const code = known(core.memory.read(start, 24));
  if (code === undefined) return undefined;
  const text = Buffer.from(code);
  const at = text.indexOf(pushAndMove);
  // Before them only endbr64 and the place of ftrace's call.
  return at < 0 || at > 9 ? undefined : { push: BigInt(at), move: BigInt(at + 1) };
}

const pushAndMove = Buffer.from([0x55, 0x48, 0x89, 0xe5]);
