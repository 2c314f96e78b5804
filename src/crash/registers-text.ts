import type { RegisterName, Registers } from '../kernel/registers.ts';
import { hex } from './text.ts';

/** Three to a line, names right-aligned, as crash(8) prints what an exception saved. */
const lines: readonly (readonly (readonly [label: string, name: RegisterName, digits: number])[])[] = [
  [
    ['RIP', 'rip', 16],
    ['RSP', 'rsp', 16],
    ['RFLAGS', 'rflags', 8],
  ],
  [
    ['RAX', 'rax', 16],
    ['RBX', 'rbx', 16],
    ['RCX', 'rcx', 16],
  ],
  [
    ['RDX', 'rdx', 16],
    ['RSI', 'rsi', 16],
    ['RDI', 'rdi', 16],
  ],
  [
    ['RBP', 'rbp', 16],
    [' R8', 'r8', 16],
    [' R9', 'r9', 16],
  ],
  [
    ['R10', 'r10', 16],
    ['R11', 'r11', 16],
    ['R12', 'r12', 16],
  ],
  [
    ['R13', 'r13', 16],
    ['R14', 'r14', 16],
    ['R15', 'r15', 16],
  ],
  [
    ['ORIG_RAX', 'orig_rax', 16],
    ['CS', 'cs', 4],
    ['SS', 'ss', 4],
  ],
];

/** The seven lines of registers; of one that was not saved, so much is said. */
export function registerLines(registers: Registers): string[] {
  return lines.map(
    (line) =>
      `    ${line
        .map(([label, name, digits]) => {
          const value = registers[name];
          return `${label}: ${value === undefined ? '(not saved)'.padEnd(digits) : hex(value, digits)}`;
        })
        .join('  ')}`,
  );
}
