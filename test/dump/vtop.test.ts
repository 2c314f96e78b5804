import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mapPages } from '../../src/dump/filter/page-map.ts';
import { openSource } from '../../src/dump/input/open.ts';
import { type AddressWalk, formatWalk, parseAddress, walkAddress } from '../../src/dump/vtop.ts';
import { type VmcoreOptions, writeVmcore } from '../helpers/vmcore.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-vtop-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function walk(address: bigint, options: VmcoreOptions = {}): AddressWalk {
  const path = join(directory, 'core');
  writeVmcore(path, options);
  const source = openSource([path]);
  try {
    return walkAddress(mapPages(source, 0, () => {}).kernel!.memory, address);
  } finally {
    source.close();
  }
}

const vmemmap = 0xffff_ea00_0000_1234n;

test('every level is printed, as makedumpfile --vtop does', () => {
  const found = walk(vmemmap);
  expect(found.levels.map((step) => step.name)).toEqual(['PGD', 'PUD', 'PMD', 'PTE']);
  // Each entry lies in the table that the one before it points to.
  const table = (entry: string | null): bigint => BigInt(entry!) & 0x000f_ffff_ffff_f000n;
  for (const [i, step] of found.levels.slice(1).entries())
    expect(BigInt(step.address) & ~0xfffn).toBe(table(found.levels[i]!.entry));
  expect(BigInt(found.physical!)).toBe(table(found.levels[3]!.entry) + 0x234n);
  const lines = formatWalk(found).split('\n');
  expect(lines.slice(0, 2)).toEqual([
    '',
    'Translating virtual address ffffea0000001234 to physical address.',
  ]);
  expect(lines[2]).toMatch(/^ {2}PGD : [ 0-9a-f]{16} => [ 0-9a-f]{16}$/);
  expect(lines.slice(6)).toEqual([
    'VIRTUAL           PHYSICAL',
    `ffffea0000001234  ${found.physical!.slice(2)}`,
    '',
    '',
  ]);
});

test('with five levels there is one more, below the root', () => {
  const found = walk(vmemmap, { fiveLevels: true });
  expect(found.levels.map((step) => step.name)).toEqual(['PGD', 'P4D', 'PUD', 'PMD', 'PTE']);
});

test('an address that nothing maps ends where the way ends, and says why', () => {
  const found = walk(0x1000n);
  expect(found).toMatchObject({ physical: null, levels: [{ name: 'PGD', entry: '0x0' }] });
  expect(formatWalk(found)).toContain('Not mapped: the PGD entry maps nothing.');
  expect(formatWalk(found)).toContain('            1000  ffffffffffffffff\n');
  const hole = walk(0xffff_ea00_0000_1234n, { unmapped: [1] });
  expect(hole.levels.at(-1)).toMatchObject({ name: 'PTE', entry: '0x0' });
});

describe('addresses on the command line', () => {
  test.each([
    ['0xffffffff81000000', 0xffff_ffff_8100_0000n],
    ['0XFF', 255n],
    ['010', 8n],
    ['0', 0n],
    ['4096', 4096n],
  ])('%s', (text, value) => {
    expect(parseAddress(text, '--vtop')).toBe(value);
  });

  test.each(['', 'x', '08', '-1', '0x', '0x1ffffffffffffffff', 'init_task'])('%j is refused', (text) => {
    expect(() => parseAddress(text, '--vtop')).toThrow("option '--vtop'");
  });

  test('a hexadecimal number without 0x gets a hint', () => {
    expect(() => parseAddress('ffffffff81000000', '--vtop')).toThrow(
      expect.objectContaining({ fix: 'A hexadecimal address begins with 0x: 0xffffffff81000000.' }),
    );
  });
});
