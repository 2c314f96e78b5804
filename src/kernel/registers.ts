import { NT_PRSTATUS, readNotes } from '../formats/elf.ts';
import { isMissing, type Missing, u64At, type VirtualMemory } from './memory.ts';

/** struct pt_regs of x86_64 (arch/x86/include/asm/ptrace.h), 8 bytes each; notes go on with fs_base and others. */
export const registerNames = [
  'r15',
  'r14',
  'r13',
  'r12',
  'rbp',
  'rbx',
  'r11',
  'r10',
  'r9',
  'r8',
  'rax',
  'rcx',
  'rdx',
  'rsi',
  'rdi',
  'orig_rax',
  'rip',
  'cs',
  'rflags',
  'rsp',
  'ss',
] as const;

export type RegisterName = (typeof registerNames)[number];

/** Those that are known: an interrupt that saved only what the processor pushes tells rip, cs, rflags, rsp and ss. */
export type Registers = Readonly<Partial<Record<RegisterName, bigint>>> & {
  readonly rip: bigint;
  readonly rsp: bigint;
};

export const registerBytes = registerNames.length * 8;
/** The registers that the processor itself pushes: the last five. */
const firstPushed = registerNames.indexOf('rip');
export const pushedBytes = (registerNames.length - firstPushed) * 8;

/** pr_reg in the kernel's struct elf_prstatus of 64-bit machines. */
const registersInNote = 112;
/** Bytes of a CPU's note with its header, and of the empty one that ends it. */
const noteBytes = 512;

/** A whole struct pt_regs in memory. */
export function readRegisters(memory: VirtualMemory, address: bigint): Registers | Missing {
  const bytes = memory.read(address, registerBytes);
  return isMissing(bytes) ? bytes : registersFrom(bytes, 0);
}

/** The five registers that the processor pushes. */
export function readPushed(memory: VirtualMemory, address: bigint): Registers | Missing {
  const bytes = memory.read(address, pushedBytes);
  return isMissing(bytes) ? bytes : registersFrom(bytes, firstPushed);
}

function registersFrom(bytes: Uint8Array, first: number): Registers {
  const names = registerNames.slice(first);
  return Object.fromEntries(names.map((name, i) => [name, u64At(bytes, i * 8)])) as Registers;
}

/** Registers of every NT_PRSTATUS in ELF notes, in their order; undefined for one that nobody wrote. */
export function registersOfNotes(notes: Uint8Array): (Registers | undefined)[] {
  return readNotes(notes)
    .filter(({ type, name }) => type === NT_PRSTATUS && name === 'CORE')
    .map(({ description }) =>
      description.length < registersInNote + registerBytes
        ? undefined
        : registersFrom(description.subarray(registersInNote), 0),
    );
}

/** What a CPU saved of itself at the crash, from its buffer in memory (crash_notes); undefined when it saved nothing. */
export function readCrashNote(memory: VirtualMemory, address: bigint): Registers | Missing | undefined {
  const bytes = memory.read(address, noteBytes);
  if (isMissing(bytes)) return bytes;
  return registersOfNotes(bytes)[0];
}
