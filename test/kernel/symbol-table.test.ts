import { describe, expect, test } from 'vitest';
import type { KernelSymbol } from '../../src/kernel/kallsyms.ts';
import type { KernelModule } from '../../src/kernel/modules.ts';
import { SymbolTable } from '../../src/kernel/symbol-table.ts';
import { fakeKallsyms } from '../helpers/kernel.ts';

const text = 0xffff_ffff_8100_0000n;
const symbol = (name: string, address: bigint): KernelSymbol => ({ name, address, type: 't' });

const base = 0xffff_ffff_c000_0000n;
const module = {
  name: 'loop',
  ranges: [
    { kind: 'text', start: base, end: base + 0x1000n },
    { kind: 'data', start: base + 0x4000n, end: base + 0x5000n },
  ],
  symbols: [
    symbol('lo_open', base),
    symbol('lo_close', base + 0x40n),
    symbol('cleanup_module', base + 0x40n),
    symbol('loop_index', base + 0x4010n),
  ],
  contains: (address: bigint) => module.ranges.some(({ start, end }) => address >= start && address < end),
} as unknown as KernelModule;

const table = new SymbolTable(
  fakeKallsyms({
    irq_stack: 0x1000n,
    _text: text,
    __pfx_open: text + 0xf0n,
    open: text + 0x100n,
    close: text + 0x180n,
    _end: text + 0x1000n,
    after: text + 0x1100n,
  }),
  () => [module],
);

describe('an address', () => {
  test.each([
    [text + 0x104n, 'open', 4, 0x80],
    // Padding before a function belongs to the one before it.
    [text + 0xf4n, '_text', 0xf4, 0xf0],
    [base + 0x48n, 'lo_close', 8, 0xfc0],
    [base + 0x4010n, 'loop_index', 0, 0xff0],
  ])('%x is called %s+%i', (address, name, offset, size) => {
    expect(table.at(address)).toMatchObject({ symbol: { name }, offset, size });
  });

  test('has no name outside the image and modules, nor before the first symbol of a part', () => {
    for (const address of [0x1004n, text + 0x1104n, text - 1n, base + 0x1000n, base + 0x4004n])
      expect(table.at(address), address.toString(16)).toBeUndefined();
  });
});

describe('a name', () => {
  test('is found in the kernel, then in modules; of one module when that is asked', () => {
    expect(table.find('open')).toMatchObject({ address: text + 0x100n, module: undefined });
    expect(table.find('lo_open')).toMatchObject({ address: base, module: { name: 'loop' } });
    expect(table.find('loop:lo_open')?.address).toBe(base);
    expect(table.find('loop:open')).toBeUndefined();
    expect(table.find('irq_stack')?.address).toBe(0x1000n);
    expect(table.find('nothing')).toBeUndefined();
  });

  test('all of them', () => {
    expect([...table.entries()].map(({ name }) => name)).toContain('loop_index');
    expect([...table.entries()].length).toBe(11);
  });
});
