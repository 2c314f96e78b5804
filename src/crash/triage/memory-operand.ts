import type { RegisterName, Registers } from '../../kernel/registers.ts';

/** How an instruction forms the address of its operand in memory. */
export type MemoryOperand = {
  /** 'rax+0xe8', 'rbx+rcx*8-0x10'. */
  readonly text: string;
  readonly base: RegisterName | undefined;
  readonly index: RegisterName | undefined;
  readonly displacement: number;
};

/** By the numbers that instructions give them. */
const byNumber: readonly RegisterName[] = [
  ...(['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const),
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
];
const prefixes: ReadonlySet<number> = new Set([
  0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65,
]);
/** 0f 38 and 0f 3a have one more byte of opcode. */
const longer: ReadonlySet<number> = new Set([0x38, 0x3a]);

/**
 * The operand of an x86_64 instruction that faulted (Intel SDM, volume 2, chapter 2). Whether the instruction has one at
 * all is not looked up: the answer counts only when registers and operand together give the address of the fault.
 * @param code bytes from the instruction on
 */
export function faultingOperand(
  code: Uint8Array,
  registers: Registers,
  address: bigint,
): MemoryOperand | undefined {
  const operand = operandOf(Buffer.from(code));
  if (operand === undefined) return undefined;
  const value = (name: RegisterName | undefined): bigint | undefined =>
    name === undefined ? 0n : registers[name];
  const [base, index] = [value(operand.base), value(operand.index)];
  if (base === undefined || index === undefined) return undefined;
  const sum = BigInt.asUintN(64, base + index * BigInt(operand.scale) + BigInt(operand.displacement));
  // A wide access may fault at any of its bytes.
  if (address < sum || address - sum >= 64n) return undefined;
  return { ...operand, text: textOf(operand) };
}

type Encoded = Omit<MemoryOperand, 'text'> & { readonly scale: number };

function operandOf(code: Buffer): Encoded | undefined {
  let at = 0;
  while (prefixes.has(code[at] ?? 0)) at++;
  const rex = (code[at] ?? 0) >> 4 === 4 ? code[at++]! : 0;
  if (code[at++] === 0x0f && longer.has(code[at++] ?? 0)) at++;
  if (at + 6 > code.length) return undefined;
  const modrm = code[at++]!;
  const mod = modrm >> 6;
  if (mod === 3) return undefined;
  let base: number | undefined = (modrm & 7) | ((rex & 1) << 3);
  let index: number | undefined;
  let scale = 1;
  if ((modrm & 7) === 4) {
    const sib = code[at++]!;
    base = (sib & 7) | ((rex & 1) << 3);
    const number = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (number !== 4) index = number;
    scale = 1 << (sib >> 6);
    if (mod === 0 && (sib & 7) === 5) base = undefined;
  } else if (mod === 0 && (modrm & 7) === 5) {
    // From the next instruction on, whose place is not known here.
    return undefined;
  }
  const wide = mod === 2 || base === undefined;
  if (at + (wide ? 4 : mod) > code.length) return undefined;
  const displacement = wide ? code.readInt32LE(at) : mod === 1 ? code.readInt8(at) : 0;
  const name = (number: number | undefined) => (number === undefined ? undefined : byNumber[number]);
  return { base: name(base), index: name(index), scale, displacement };
}

function textOf({ base, index, scale, displacement }: Encoded): string {
  const registers = [base, index && (scale === 1 ? index : `${index}*${scale}`)].filter((part) => part);
  const sign = displacement < 0 ? '-' : '+';
  const distance = displacement === 0 ? '' : `${sign}0x${Math.abs(displacement).toString(16)}`;
  return registers.join('+') + distance;
}
