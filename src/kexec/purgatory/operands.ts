/** What instructions of x86-64 work on: registers, memory, labels. */

/** 32 or 64 bits of a register; writing the lower half clears the upper. */
export type Register = {
  /** Number in ModRM and REX, 0 to 15. */
  readonly number: number;
  readonly bytes: 4 | 8;
};

/** Memory at a register, or at a label relative to the next instruction (RIP-relative). */
export type Memory = {
  readonly base: Register | string;
  readonly displacement: number;
};

const whole = (number: number): Register => ({ number, bytes: 8 });
const half = (number: number): Register => ({ number, bytes: 4 });

export const [rax, rcx, rdx, rbx] = [whole(0), whole(1), whole(2), whole(3)];
export const [rsp, rbp, rsi, rdi] = [whole(4), whole(5), whole(6), whole(7)];
export const [r8, r9, r10, r11] = [whole(8), whole(9), whole(10), whole(11)];
export const [r12, r13, r14, r15] = [whole(12), whole(13), whole(14), whole(15)];
export const [eax, ecx, edx, ebx] = [half(0), half(1), half(2), half(3)];
export const [ebp, esi, edi] = [half(5), half(6), half(7)];
export const [r8d, r9d, r10d, r11d] = [half(8), half(9), half(10), half(11)];
export const [r12d, r13d, r14d, r15d] = [half(12), half(13), half(14), half(15)];
/** Segment registers by their number in ModRM. */
export const segmentRegisters = { es: 0, ss: 2, ds: 3, fs: 4, gs: 5 } as const;
export type SegmentRegister = keyof typeof segmentRegisters;

export function isMemory(operand: Register | Memory): operand is Memory {
  return 'base' in operand;
}

/** Memory at an address register. */
export function at(base: Register, displacement = 0): Memory {
  return { base, displacement };
}

/** Memory at a label, wherever the code runs. */
export function of(label: string, displacement = 0): Memory {
  return { base: label, displacement };
}
