import { type KernelCore, known } from './core.ts';
import type { StackRange } from './stacks.ts';
import { stackWords } from './stacks.ts';
import type { SymbolTable } from './symbol-table.ts';
import type { Unwinder, UnwindState, UnwindStop } from './unwind.ts';

/** A return address on a stack. */
export type CallSite = { readonly slot: bigint; readonly ip: bigint };

const directCallBytes = 5;
const directCall = 0xe8;
/** Words of a stack frame that are looked through for what called it. */
const maxFrameBytes = 4096n;
/** Bytes at the start of a function that are looked at for what it saves. */
const prologueBytes = 64;

/** Target of the direct call that returns to an address; undefined when no such call ends there. */
export function callTarget(core: KernelCore, ip: bigint): bigint | undefined {
  const bytes = known(core.memory.read(ip - BigInt(directCallBytes), directCallBytes));
  if (bytes === undefined || bytes[0] !== directCall) return undefined;
  return BigInt.asUintN(64, ip + BigInt(Buffer.from(bytes).readInt32LE(1)));
}

/**
 * Who called a function that no table describes: the first word from `sp` on that is the return address of a direct call
 * of that very function.
 */
export function findCaller(
  core: KernelCore,
  symbols: SymbolTable,
  functionStart: bigint,
  sp: bigint,
  stack: StackRange | undefined,
): CallSite | undefined {
  const limit = sp + maxFrameBytes;
  const end = stack === undefined || stack.end > limit ? limit : stack.end;
  for (const { address, word } of stackWords(core, sp, end)) {
    if (symbols.at(word) !== undefined && callTarget(core, word) === functionStart)
      return { slot: address, ip: word };
  }
  return undefined;
}

/**
 * The caller's frame pointer where a function saved it: its first instructions push registers in an order that tells
 * where each lies below the return address. Undefined when it does not save it (then the register still holds it).
 */
export function savedFramePointer(core: KernelCore, functionStart: bigint, slot: bigint): bigint | undefined {
  const code = known(core.memory.read(functionStart, prologueBytes));
  if (code === undefined) return undefined;
  let pushed = 0;
  for (let at = 0; at < prologueBytes - 8; ) {
    const length = passedOver(code, at);
    if (length > 0) {
      at += length;
      continue;
    }
    const extended = code[at] === 0x41 ? 1 : 0;
    const opcode = code[at + extended]!;
    if (opcode < 0x50 || opcode > 0x57) return undefined;
    pushed++;
    if (extended === 0 && opcode === 0x55) return known(core.u64(slot - BigInt(8 * pushed)));
    at += 1 + extended;
  }
  return undefined;
}

/** Instructions that a function begins with and that move no stack: endbr64, the place of ftrace's call, moves. */
function passedOver(code: Uint8Array, at: number): number {
  const [a, b, c, d] = [code[at]!, code[at + 1]!, code[at + 2]!, code[at + 3]!];
  if (a === 0xf3 && b === 0x0f && c === 0x1e && d === 0xfa) return 4;
  if (a === 0x0f && b === 0x1f && c === 0x44) return 5;
  if (a === directCall) return directCallBytes;
  if (a === 0x66) {
    // A long one is short with prefixes.
    const end = code.subarray(at, at + 5).findIndex((byte) => byte !== 0x66);
    return end > 0 && code[at + end] === 0x90 ? end + 1 : 0;
  }
  // Between registers: mov, xor, test.
  if ((a === 0x48 || a === 0x49 || a === 0x4c) && (b === 0x89 || b === 0x31) && c >= 0xc0) return 3;
  if ((a === 0x31 || a === 0x89 || a === 0x85) && b >= 0xc0) return 2;
  return 0;
}

/** Functions that the kernel's tables leave out (STACK_FRAME_NON_STANDARD), as __crash_kexec. */
export function byCallSite(
  { core, symbols, stackOf }: Unwinder,
  state: UnwindState,
): UnwindState | UnwindStop {
  const start = symbols.at(state.signal ? state.ip : state.ip - 1n)?.symbol.address;
  const site =
    start === undefined ? undefined : findCaller(core, symbols, start, state.sp, stackOf(state.sp));
  if (start === undefined || site === undefined) return { reason: 'unknown-code', ip: state.ip };
  return {
    ip: site.ip,
    sp: site.slot + 8n,
    bp: savedFramePointer(core, start, site.slot) ?? state.bp,
    slot: site.slot,
    signal: false,
    registers: undefined,
    previous: undefined,
    certain: state.certain,
  };
}

/** Whether an address may be one of code: it has a symbol, or at least a call before it. */
export function mayBeCode(core: KernelCore, symbols: SymbolTable, ip: bigint): boolean {
  return symbols.at(ip - 1n) !== undefined || callTarget(core, ip) !== undefined || isIndirectCall(core, ip);
}

/** call *%reg and call *mem end in two, three or six bytes. */
function isIndirectCall(core: KernelCore, ip: bigint): boolean {
  const bytes = known(core.memory.read(ip - 6n, 6));
  if (bytes === undefined) return false;
  const isCall = (at: number): boolean => bytes[at] === 0xff && ((bytes[at + 1]! >> 3) & 7) === 2;
  return isCall(4) || isCall(3) || isCall(0);
}
