import { describe, expect, test } from 'vitest';
import type { KernelCore } from '../../src/kernel/core.ts';
import { lastUnloadedModule, lettersOfTaints, readModules } from '../../src/kernel/modules.ts';
import { SymbolTable } from '../../src/kernel/symbol-table.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeCore } from '../helpers/kernel.ts';

const start = 0xffff_8000_0000_0000n;
const code = 0xffff_ffff_c000_0000n;

test('taints are letters', () => {
  expect(lettersOfTaints(0n)).toBe('');
  expect(lettersOfTaints((1n << 12n) | (1n << 13n))).toBe('OE');
  expect(lettersOfTaints(1n)).toBe('P');
});

/** One module, live, and one that is only a beginning. @param parts whether its memory is described as since 6.4 */
function kernel(parts: boolean): KernelCore {
  const types = new BtfBuilder();
  const [int, long, char] = [types.int('int', 4), types.int('unsigned long', 8), types.int('char', 1)];
  const place = types.struct('module_memory', 16, [
    ['base', long, 0],
    ['size', int, 64],
  ]);
  const symbols = types.struct('mod_kallsyms', 32, [
    ['symtab', types.pointer(long), 0],
    ['num_symtab', int, 64],
    ['strtab', types.pointer(char), 128],
    ['typetab', types.pointer(char), 192],
  ]);
  types.struct('module', 256, [
    ['state', int, 0],
    ['list', types.struct('list_head', 16, [['next', long, 0]]), 64],
    ['name', types.array(char, 56), 192],
    ['taints', long, 640],
    ['kallsyms', types.pointer(symbols), 704],
    ['refcnt', types.struct('atomic_t', 4, [['counter', int, 0]]), 768],
    ...(parts
      ? ([['mem', types.array(place, 7), 832]] as const)
      : ([
          ['core_layout', place, 832],
          ['init_layout', place, 960],
        ] as const)),
  ]);
  const bytes = Buffer.alloc(8192);
  const [head, first, second] = [0, 0x100, 0x300];
  const links = [head, first + 8, second + 8];
  for (const [i, at] of links.entries()) {
    const next = links[(i + 1) % links.length]!;
    bytes.writeBigUInt64LE(start + BigInt(next), at);
    bytes.writeBigUInt64LE(start + BigInt(at), next + 8);
  }
  bytes.write('loop', first + 24, 'latin1');
  bytes.writeUInt32LE(3, second);
  bytes.writeBigUInt64LE(1n << 12n, first + 80);
  bytes.writeInt32LE(3, first + 96);
  bytes.writeBigUInt64LE(start + 0x600n, first + 88);
  bytes.writeBigUInt64LE(code, first + 104);
  bytes.writeUInt32LE(0x2000, first + 112);
  bytes.writeBigUInt64LE(code + 0x4000n, first + 120);
  bytes.writeUInt32LE(0x1000, first + 128);
  // Its symbols: none, one that is defined elsewhere, two of its own, not in their order, and the padding between them.
  bytes.writeBigUInt64LE(start + 0x700n, 0x600);
  bytes.writeUInt32LE(5, 0x608);
  bytes.writeBigUInt64LE(start + 0x800n, 0x610);
  bytes.writeBigUInt64LE(start + 0x900n, 0x618);
  bytes.write('\0printk\0lo_close\0lo_open\0__pfx_lo_close\0', 0x800, 'latin1');
  bytes.write('?UtTt', 0x900, 'latin1');
  const symbol = (index: number, name: number, section: number, value: bigint): void => {
    bytes.writeUInt32LE(name, 0x700 + index * 24);
    bytes.writeUInt16LE(section, 0x700 + index * 24 + 6);
    bytes.writeBigUInt64LE(value, 0x700 + index * 24 + 8);
  };
  symbol(1, 1, 0, 0n);
  symbol(2, 8, 1, code + 0x80n);
  symbol(3, 17, 1, code + 0x40n);
  symbol(4, 25, 1, code + 0x70n);
  bytes.write('vmsecmod', 0x1000, 'latin1');
  bytes.write('(OE)', 0x1000 + 56, 'latin1');
  return fakeCore({
    pieces: [{ vaddr: start, bytes }],
    symbols: { modules: start, last_unloaded_module: start + 0x1000n },
    types,
  });
}

describe.each([
  ['in parts', true, 0x3000],
  ['in one piece', false, 0x2000],
])('a module that lies %s', (_, parts, size) => {
  const { modules, damage } = readModules(kernel(parts));
  const [module] = modules;

  test('is listed with its place; what is only a beginning is not', () => {
    expect(modules.map(({ name }) => name)).toEqual(['loop']);
    expect(damage).toBeUndefined();
    expect(module).toMatchObject({ base: code, size, state: 'live', taints: 'O', references: 2 });
    expect(module!.contains(code + 0x1fffn)).toBe(true);
    expect(module!.contains(code + 0x4000n)).toBe(true);
    expect(module!.contains(code + 0x2000n)).toBe(false);
  });

  test('has its symbols in the order of their addresses', () => {
    expect(module!.symbols).toEqual([
      { name: 'lo_open', type: 'T', address: code + 0x40n, end: code + 0x70n },
      { name: 'lo_close', type: 't', address: code + 0x80n },
    ]);
  });
});

test('a function of a module ends where the padding in front of the next one begins', () => {
  const core = kernel(true);
  const symbols = new SymbolTable(core.kallsyms, () => readModules(core).modules);
  expect(symbols.at(code + 0x44n)).toMatchObject({ symbol: { name: 'lo_open' }, offset: 4, size: 0x30 });
  expect(symbols.at(code + 0x80n)).toMatchObject({ symbol: { name: 'lo_close' }, size: 0x1f80 });
});

test('the module that was unloaded last, with its taints', () => {
  expect(lastUnloadedModule(kernel(true))).toBe('vmsecmod(OE)');
  expect(lastUnloadedModule(fakeCore({}))).toBeUndefined();
});
