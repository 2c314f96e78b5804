import { describe, expect, test } from 'vitest';
import type { OrcEntry } from '../../src/formats/orc.ts';
import type { Backtrace } from '../../src/kernel/backtrace.ts';
import { type Registers, registerNames } from '../../src/kernel/registers.ts';
import { traceCpu } from '../../src/kernel/stack-starts.ts';
import { SymbolTable } from '../../src/kernel/symbol-table.ts';
import type { Unwinder } from '../../src/kernel/unwind.ts';
import { fakeCore } from '../helpers/kernel.ts';

const text = 0xffff_ffff_8100_0000n;
const start = 0xffff_8000_0000_0000n;
const stack = { kind: 'task', name: 'task', start, end: start + 4096n } as const;

/** Functions of 256 bytes each; each is described by how it is left. */
const functions: Readonly<Record<string, readonly [OrcEntry['type'], number]>> = {
  _text: ['end', 0],
  machine_kexec: ['call', 8],
  __crash_kexec: ['call', 16],
  panic: ['call', 8],
  crash_nmi_callback: ['call', 8],
  asm_exc_nmi: ['registers', 0],
  asm_exc_page_fault: ['registers', 0],
  worker: ['end', 0],
  _end: ['end', 0],
};
const names = Object.keys(functions);
const at = (name: string, offset: number): bigint => text + BigInt(names.indexOf(name) * 256 + offset);

function trace(slots: Readonly<Record<number, bigint>>, registers: Registers): Backtrace {
  const bytes = Buffer.alloc(4096);
  for (const [offset, value] of Object.entries(slots)) bytes.writeBigUInt64LE(value, Number(offset));
  const core = fakeCore({
    pieces: [
      { vaddr: start, bytes },
      { vaddr: text, bytes: Buffer.alloc(names.length * 256) },
    ],
    symbols: Object.fromEntries(names.map((name) => [name, at(name, 0)])),
  });
  const symbols = new SymbolTable(core.kallsyms, () => []);
  const find = (ip: bigint): OrcEntry | undefined => {
    const [type, spOffset] = functions[symbols.at(ip)?.symbol.name ?? '_text']!;
    return { type, sp: 'sp', spOffset, bp: 'undefined', bpOffset: 0, signal: type === 'registers' };
  };
  const unwinder: Unwinder = { core, symbols, orc: { find }, framePointers: false, stackOf: () => stack };
  return traceCpu(core, unwinder, registers, [stack]);
}

const registers = (rip: bigint, sp: number): Registers =>
  ({
    ...Object.fromEntries(registerNames.map((name) => [name, 0n])),
    cs: 0x10n,
    rip,
    rsp: start + BigInt(sp),
  }) as Registers;
const saved = (offset: number, values: Registers): Record<number, bigint> =>
  Object.fromEntries(registerNames.map((name, i) => [offset + i * 8, values[name]!]));
const namesOf = ({ frames }: Backtrace): unknown[] => frames.map(({ place }) => place?.symbol.name);

describe('the stack of a CPU that saved registers', () => {
  test('of a panic: the crash began where the registers were saved', () => {
    // __crash_kexec saved its own registers, then called machine_kexec.
    const slots = {
      256: at('machine_kexec', 9),
      264: at('__crash_kexec', 40),
      280: at('panic', 50),
      288: at('worker', 60),
    };
    const result = trace(slots, registers(at('__crash_kexec', 20), 0x110));
    expect(namesOf(result)).toEqual(['machine_kexec', '__crash_kexec', 'panic', 'worker']);
    expect(result.stop).toEqual({ reason: 'end' });
  });

  test('of a fault: what the kernel did about it lies below', () => {
    const fault = registers(at('worker', 7), 0x400);
    const slots = {
      256: at('machine_kexec', 9),
      264: at('__crash_kexec', 40),
      280: at('asm_exc_page_fault', 50),
      ...saved(0x120, fault),
    };
    const { frames } = trace(slots, fault);
    expect(frames.map(({ place, kind }) => [place?.symbol.name, kind])).toEqual([
      ['machine_kexec', 'call'],
      ['__crash_kexec', 'call'],
      ['asm_exc_page_fault', 'call'],
      ['worker', 'exception'],
    ]);
  });

  test('words that an earlier crash left lead to other registers: the trace begins with those of the CPU', () => {
    const stale = {
      256: at('crash_nmi_callback', 9),
      264: at('asm_exc_nmi', 40),
      ...saved(0x110, registers(at('worker', 9), 0x500)),
    };
    expect(namesOf(trace(stale, registers(at('worker', 7), 0x400)))).toEqual(['worker']);
    const right = { ...stale, ...saved(0x110, registers(at('worker', 7), 0x400)) };
    expect(namesOf(trace(right, registers(at('worker', 7), 0x400)))).toEqual([
      'crash_nmi_callback',
      'asm_exc_nmi',
      'worker',
    ]);
  });
});
