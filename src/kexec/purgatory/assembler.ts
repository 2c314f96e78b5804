import { isMemory, type Memory, type Register, type SegmentRegister, segmentRegisters } from './operands.ts';
import { fitsByte, joinPieces, little, type MachineCode, type Piece } from './pieces.ts';

/**
 * An assembler for the few instructions of 64-bit mode that the purgatory needs. Source of the encodings: Intel's
 * Software Developer's Manual, volume 2. An instruction is
 *   [F3 prefix] [REX] opcode [ModRM [SIB] [displacement]] [immediate], numbers little-endian.
 * REX is 0100WRXB: W makes operands 64 bits wide, R and B are the fourth bits of ModRM's reg and rm, X is not used here.
 * What follows "/" in a comment is what ModRM's reg holds: a register ("r") or a part of the opcode (a digit).
 */
export class Assembler {
  readonly #pieces: Piece[] = [];

  // Moving data

  /** mov: 89 /r stores, 8B /r loads, B8+r a 32-bit constant (which clears the upper half). */
  mov(target: Register | Memory, source: Register | Memory | number): void {
    if (typeof source !== 'number') this.#either(0x89, target, source);
    else if (!isMemory(target) && target.bytes === 4)
      this.#bytes([...rex(0, 0, target.number), 0xb8 + (target.number & 7), ...little(source, 4)]);
    else throw new RangeError('mov: a constant goes to a 32-bit register');
  }
  /** mov of a segment register: 8E /r. */
  movSegment(target: SegmentRegister, source: Register): void {
    this.#modRM([0x8e], segmentRegisters[target], source, 0);
  }
  /** movzx of a byte to 32 bits: 0F B6 /r. */
  movzx(target: Register, source: Memory): void {
    this.#modRM([0x0f, 0xb6], target.number, source, 0);
  }
  /** lea: REX.W 8D /r. */
  lea(target: Register, source: Memory): void {
    this.#modRM([0x8d], target.number, source, 1);
  }
  /** push of a 64-bit register: 50+r; of a byte with its sign: 6A. */
  push(source: Register | number): void {
    if (typeof source === 'number') this.#bytes([0x6a, ...little(source, 1)]);
    else this.#bytes([...rex(0, 0, source.number), 0x50 + (source.number & 7)]);
  }
  /** pop: 58+r. */
  pop(target: Register): void {
    this.#bytes([...rex(0, 0, target.number), 0x58 + (target.number & 7)]);
  }
  /** bswap, of a register's own width: 0F C8+r. */
  bswap(target: Register): void {
    this.#bytes([...rex(wide(target), 0, target.number), 0x0f, 0xc8 + (target.number & 7)]);
  }

  // Arithmetic: eight operations, encoded alike

  add(target: Register | Memory, source: Register | Memory | number): void {
    this.#arithmetic(0, target, source);
  }
  or(target: Register | Memory, source: Register | Memory | number): void {
    this.#arithmetic(1, target, source);
  }
  and(target: Register | Memory, source: Register | Memory | number): void {
    this.#arithmetic(4, target, source);
  }
  sub(target: Register | Memory, source: Register | Memory | number): void {
    this.#arithmetic(5, target, source);
  }
  xor(target: Register | Memory, source: Register | Memory | number): void {
    this.#arithmetic(6, target, source);
  }
  cmp(target: Register | Memory, source: Register | Memory | number): void {
    this.#arithmetic(7, target, source);
  }
  /** test of two registers: 85 /r. */
  test(target: Register, source: Register): void {
    this.#either(0x85, target, source);
  }
  /** inc and dec: FF /0, FF /1. */
  inc(target: Register): void {
    this.#modRM([0xff], 0, target, wide(target));
  }
  dec(target: Register): void {
    this.#modRM([0xff], 1, target, wide(target));
  }
  /** ror, shl, shr by a constant: C1 /1, C1 /4, C1 /5 with a byte. */
  ror(target: Register, bits: number): void {
    this.#modRM([0xc1], 1, target, wide(target), little(bits, 1));
  }
  shl(target: Register, bits: number): void {
    this.#modRM([0xc1], 4, target, wide(target), little(bits, 1));
  }
  shr(target: Register, bits: number): void {
    this.#modRM([0xc1], 5, target, wide(target), little(bits, 1));
  }

  // Going elsewhere: EB and 70+condition with 8 bits from the next instruction on, E9 and 0F 80+condition with 32

  jmp(target: string): void {
    this.#pieces.push({ kind: 'jump', target, short: [0xeb], long: [0xe9] });
  }
  /** Below: unsigned, or the carry is set. */
  jb(target: string): void {
    this.#jumpIf(2, target);
  }
  je(target: string): void {
    this.#jumpIf(4, target);
  }
  jne(target: string): void {
    this.#jumpIf(5, target);
  }
  jbe(target: string): void {
    this.#jumpIf(6, target);
  }
  /** jmp to an address in memory: FF /4. */
  jmpTo(target: Memory): void {
    this.#modRM([0xff], 4, target, 0);
  }
  /** call: E8 with 32 bits. */
  call(target: string): void {
    this.#pieces.push({ kind: 'jump', target, short: null, long: [0xe8] });
  }
  ret(): void {
    this.#bytes([0xc3]);
  }
  /** Far return to a 64-bit address and a code segment, both on the stack: REX.W CB. */
  retf(): void {
    this.#bytes([0x48, 0xcb]);
  }

  // Strings: byte or 32 bits at rsi to rdi, or al or eax to rdi, rcx times

  repMovsb(): void {
    this.#bytes([0xf3, 0xa4]);
  }
  repStosb(): void {
    this.#bytes([0xf3, 0xaa]);
  }
  repStosd(): void {
    this.#bytes([0xf3, 0xab]);
  }
  repeCmpsb(): void {
    this.#bytes([0xf3, 0xa6]);
  }
  stosb(): void {
    this.#bytes([0xaa]);
  }

  // The machine

  /** in al from the port in dx: EC; out: EE. */
  inAl(): void {
    this.#bytes([0xec]);
  }
  outAl(): void {
    this.#bytes([0xee]);
  }
  /** lgdt and lidt: 0F 01 /2, 0F 01 /3. */
  lgdt(pointer: Memory): void {
    this.#modRM([0x0f, 0x01], 2, pointer, 0);
  }
  lidt(pointer: Memory): void {
    this.#modRM([0x0f, 0x01], 3, pointer, 0);
  }
  cli(): void {
    this.#bytes([0xfa]);
  }
  cld(): void {
    this.#bytes([0xfc]);
  }
  int3(): void {
    this.#bytes([0xcc]);
  }
  pause(): void {
    this.#bytes([0xf3, 0x90]);
  }
  rdtsc(): void {
    this.#bytes([0x0f, 0x31]);
  }

  // Not instructions

  /** Names the place where the next piece goes. */
  label(name: string): void {
    this.#pieces.push({ kind: 'label', name });
  }
  data(bytes: Uint8Array | readonly number[]): void {
    this.#bytes(bytes);
  }
  /** Zeros up to a multiple of `size`. */
  align(size: number): void {
    this.#pieces.push({ kind: 'align', size });
  }

  /** The machine code, with every jump as short as it can be, and where its labels are. */
  assemble(): MachineCode {
    return joinPieces(this.#pieces);
  }

  #bytes(bytes: Uint8Array | readonly number[]): void {
    this.#pieces.push({ kind: 'bytes', bytes });
  }

  #jumpIf(condition: number, target: string): void {
    this.#pieces.push({ kind: 'jump', target, short: [0x70 + condition], long: [0x0f, 0x80 + condition] });
  }

  /** Eight operations: op*8+1 /r to memory, op*8+3 /r from it, 83 /op with a byte, 81 /op with 32 bits. */
  #arithmetic(op: number, target: Register | Memory, source: Register | Memory | number): void {
    if (typeof source !== 'number') {
      this.#either(op * 8 + 1, target, source);
      return;
    }
    if (isMemory(target)) throw new RangeError('a constant goes with a register');
    if (target.bytes === 8 && source >= 2 ** 31) throw new RangeError('32 bits are extended with their sign');
    const short = fitsByte(source);
    this.#modRM([short ? 0x83 : 0x81], op, target, wide(target), little(source, short ? 1 : 4));
  }

  /** `opcode` for from a register to rm; 2 more is the other way round. */
  #either(opcode: number, target: Register | Memory, source: Register | Memory): void {
    if (!isMemory(source)) this.#modRM([opcode], source.number, target, wide(source));
    else if (!isMemory(target)) this.#modRM([opcode + 2], target.number, source, wide(target));
    else throw new RangeError('one operand is a register');
  }

  /**
   * REX, opcode, ModRM with what belongs to it, immediate. ModRM is mod (2 bits), reg (3), rm (3): mod 3 is a register,
   * 0 memory without displacement, 1 with 8 bits, 2 with 32 bits of it; mod 0 with rm 5 is relative to the next
   * instruction, and rm 4 wants a SIB byte, of which only "no index" (0x24) is needed: a base of rsp or r12.
   */
  #modRM(
    opcode: readonly number[],
    reg: number,
    rm: Register | Memory,
    w: 0 | 1,
    immediate: readonly number[] = [],
  ): void {
    const modRM = (mod: number, low: number) => (mod << 6) | ((reg & 7) << 3) | (low & 7);
    if (!isMemory(rm)) {
      this.#bytes([...rex(w, reg, rm.number), ...opcode, modRM(3, rm.number), ...immediate]);
    } else if (typeof rm.base === 'string') {
      const head = [...rex(w, reg, 0), ...opcode, modRM(0, 5)];
      this.#pieces.push({ kind: 'relative', head, label: rm.base, displacement: rm.displacement, immediate });
    } else {
      const base = rm.base.number;
      // A base of rbp or r13 without displacement would read as relative to the next instruction.
      const mod = rm.displacement === 0 && (base & 7) !== 5 ? 0 : fitsByte(rm.displacement) ? 1 : 2;
      const sib = (base & 7) === 4 ? [0x24] : [];
      const displacement = little(rm.displacement, [0, 1, 4][mod]!);
      this.#bytes([...rex(w, reg, base), ...opcode, modRM(mod, base), ...sib, ...displacement, ...immediate]);
    }
  }
}

const wide = (register: Register): 0 | 1 => (register.bytes === 8 ? 1 : 0);

/** The REX prefix, or nothing where no bit of it is needed. */
function rex(w: 0 | 1, reg: number, rm: number): number[] {
  const bits = (w << 3) | ((reg >> 3) << 2) | (rm >> 3);
  return bits === 0 ? [] : [0x40 | bits];
}
