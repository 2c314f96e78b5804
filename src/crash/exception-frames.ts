import type { Kernel } from '../kernel/kernel.ts';
import { isMissing } from '../kernel/memory.ts';
import { type Registers, readRegisters, registerBytes } from '../kernel/registers.ts';
import { type StackRange, stackWords } from '../kernel/stacks.ts';

/** What looks like a struct pt_regs on a stack. */
export type ExceptionFrame = {
  readonly address: bigint;
  readonly mode: 'KERNEL' | 'USER';
  readonly registers: Registers;
};

const [kernelCode, kernelData, userCode, userData] = [0x10n, 0x18n, 0x33n, 0x2bn];
const userEnd = 0x0100_0000_0000_0000n;
/** Bits of RFLAGS that are always set, and always clear. */
const alwaysSet = 2n;
const neverSet = 0xffff_ffff_ffc0_8028n;

/** Registers that exceptions left on a stack, or that look as if: by their segments, flags and addresses. */
export function* exceptionFrames(kernel: Kernel, stack: StackRange): Generator<ExceptionFrame> {
  for (const { address } of stackWords(kernel.core, stack.start, stack.end)) {
    if (address + BigInt(registerBytes) > stack.end) return;
    const registers = readRegisters(kernel.core.memory, address);
    const mode = isMissing(registers) ? undefined : modeOf(kernel, registers);
    if (mode !== undefined && !isMissing(registers)) yield { address, mode, registers };
  }
}

function modeOf(kernel: Kernel, { rip, rsp, cs, ss, rflags = 0n }: Registers): 'KERNEL' | 'USER' | undefined {
  if ((rflags & alwaysSet) === 0n || (rflags & neverSet) !== 0n) return undefined;
  if (cs === userCode && ss === userData && rip < userEnd && rsp < userEnd && rsp !== 0n) return 'USER';
  const isCode = cs === kernelCode && (ss === kernelData || ss === 0n) && rsp >= 1n << 63n;
  const type = isCode ? kernel.symbolAt(rip)?.symbol.type : undefined;
  return type !== undefined && /^[tTwW]$/.test(type) ? 'KERNEL' : undefined;
}
