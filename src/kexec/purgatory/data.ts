import { layout } from '../../lib/layout.ts';
import type { Assembler } from './assembler.ts';
import { type Memory, of } from './operands.ts';

/** What the purgatory is told, in its own bytes behind its code. Each table has a label of its own. */

/** Registers of the kernel's first instruction. */
export const registersLayout = layout('entry registers', 0x88, {
  rax: [0x00, 'u64'],
  rbx: [0x08, 'u64'],
  rcx: [0x10, 'u64'],
  rdx: [0x18, 'u64'],
  rsi: [0x20, 'u64'],
  rdi: [0x28, 'u64'],
  /** 0: the purgatory's own stack. */
  rsp: [0x30, 'u64'],
  rbp: [0x38, 'u64'],
  r8: [0x40, 'u64'],
  r9: [0x48, 'u64'],
  r10: [0x50, 'u64'],
  r11: [0x58, 'u64'],
  r12: [0x60, 'u64'],
  r13: [0x68, 'u64'],
  r14: [0x70, 'u64'],
  r15: [0x78, 'u64'],
  rip: [0x80, 'u64'],
});

/** Yes and no are 1 and 0. */
export const optionsLayout = layout('purgatory options', 0x50, {
  /** Compare the digest of the regions. */
  check: [0x00, 'u32'],
  region_count: [0x04, 'u32'],
  backup_source: [0x08, 'u64'],
  backup_destination: [0x10, 'u64'],
  backup_size: [0x18, 'u64'],
  /** Address of the NUL behind the kernel's command line, or 0: no way back is told. */
  command_line_end: [0x20, 'u64'],
  verbose: [0x28, 'u32'],
  reset_vga: [0x2c, 'u32'],
  vga: [0x30, 'u32'],
  serial: [0x34, 'u32'],
  /** I/O port of the UART; there is one even when `serial` is 0. */
  serial_port: [0x38, 'u32'],
  /** What 115200 bits per second are divided by; 0: the UART is left as it is. */
  serial_divisor: [0x3c, 'u32'],
  /** Where the screen's memory begins and where the next character goes, in characters; set by the purgatory. */
  vga_origin: [0x40, 'u32'],
  vga_cell: [0x44, 'u32'],
  vga_column: [0x48, 'u32'],
});

export const regionLayout = layout('region', 16, { start: [0, 'u64'], length: [8, 'u64'] });
/** As many as kexec_load takes segments. */
export const mostRegions = 16;
export const digestBytes = 32;

const sizes: Readonly<Record<string, number>> = {
  registers: registersLayout.size,
  options: optionsLayout.size,
  regions: mostRegions * regionLayout.size,
  expected: digestBytes,
  found: digestBytes,
};

/** Room for all tables, with zeros in it. */
export function emitTables(a: Assembler): void {
  for (const [name, size] of Object.entries(sizes)) {
    a.align(16);
    a.label(name);
    a.data(new Uint8Array(size));
  }
}

export function option(name: keyof typeof optionsLayout.fields): Memory {
  return of('options', optionsLayout.fields[name][0]);
}

export function entryRegister(name: keyof typeof registersLayout.fields): Memory {
  return of('registers', registersLayout.fields[name][0]);
}
