import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readElfSections } from '../../src/formats/elf-sections.ts';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { checkVmlinux, kernelOffset, openVmlinux, relocatedSymbols } from '../../src/kernel/vmlinux.ts';
import type { KdumpError } from '../../src/lib/errors.ts';
import { fixturePath, fixtures, inflate, openBytes, openFixture, readerOf } from '../helpers/vmlinux.ts';

const original = readFileSync(fixturePath('dwarf5'));

/** The file without a section: its header has another type, its name another letter. */
function without(...names: string[]): Buffer {
  const bytes = Buffer.from(original);
  const { sections } = readElfSections(readerOf(bytes), bytes.length, 'file');
  const headers = Number(bytes.readBigUInt64LE(40));
  for (const [i, section] of sections.entries())
    if (names.includes(section.name)) bytes.writeUInt32LE(0, headers + i * 64 + 4);
  return bytes;
}

const error = (action: () => unknown): KdumpError => {
  try {
    action();
  } catch (thrown) {
    return thrown as KdumpError;
  }
  throw new Error('nothing was thrown');
};

describe.each(fixtures)('%s', (name) => {
  const vmlinux = openFixture(name);

  test('build id, release and static data', () => {
    expect(vmlinux.buildId).toMatch(/^[0-9a-f]{40}$/);
    expect(vmlinux.release).toBe('5.0.0-test');
    const banner = vmlinux.content(vmlinux.symbols.address('linux_banner')!, 13)!;
    expect(Buffer.from(banner).toString()).toBe('Linux version');
  });

  test('bss and addresses outside have no content', () => {
    expect(vmlinux.content(vmlinux.symbols.address('sample_page')!, 8)).toBeUndefined();
    expect(vmlinux.content(0x1000n, 8)).toBeUndefined();
  });

  test('types and symbols', () => {
    expect(vmlinux.types.find('page')?.size).toBe(48);
    expect(vmlinux.types.variable('init_task')?.name).toBe('task_struct');
    expect(vmlinux.types.enumerator('PG_lru')).toBe(4n);
  });
});

test('KASLR moves the image, not the offsets of per-CPU variables', () => {
  const symbols = relocatedSymbols(
    { address: (name) => ({ text: 0xffff_ffff_8100_0000n, percpu: 0x1f000n })[name] },
    0x1200_0000n,
  );
  expect(symbols.address('text')).toBe(0xffff_ffff_9300_0000n);
  expect(symbols.address('percpu')).toBe(0x1f000n);
  expect(symbols.address('none')).toBeUndefined();
});

test('KERNELOFFSET is hexadecimal without 0x, and 0 when there is none', () => {
  expect(kernelOffset(new Vmcoreinfo('KERNELOFFSET=34a00000\n'))).toBe(0x34a00000n);
  expect(kernelOffset(new Vmcoreinfo('KERNELOFFSET=0\n'))).toBe(0n);
  expect(kernelOffset(new Vmcoreinfo('OSRELEASE=1\n'))).toBe(0n);
});

describe('whether it is the kernel of a dump', () => {
  const vmlinux = openFixture('dwarf5');
  const stext = vmlinux.symbols.address('_stext')!;
  const check = (text: string): void => checkVmlinux(vmlinux, new Vmcoreinfo(text), '/proc/vmcore');

  test('the build id decides when both have one', () => {
    check(`BUILD-ID=${vmlinux.buildId}\nOSRELEASE=whatever\n`);
    const thrown = error(() => check(`BUILD-ID=${'0'.repeat(40)}\nOSRELEASE=5.0.0-test\n`));
    expect(thrown.code).toBe('wrong-vmlinux');
    expect(thrown.message).toContain(vmlinux.buildId);
    expect(thrown.message).toContain('0'.repeat(40));
    expect(thrown.message).toContain('/proc/vmcore');
  });

  test('else the release and the symbols that both know', () => {
    check(`OSRELEASE=5.0.0-test\nSYMBOL(_stext)=${stext.toString(16)}\n`);
    check(
      `OSRELEASE=5.0.0-test\nSYMBOL(_stext)=${(stext + 0x100_0000n).toString(16)}\nKERNELOFFSET=1000000\n`,
    );
    expect(error(() => check('OSRELEASE=6.1.0\n')).message).toMatch(/5\.0\.0-test.*6\.1\.0/);
    const moved = error(() => check(`OSRELEASE=5.0.0-test\nSYMBOL(_stext)=${(stext + 64n).toString(16)}\n`));
    expect(moved.code).toBe('wrong-vmlinux');
    expect(moved.message).toContain('_stext at');
  });
});

test('mem_section is not compared: kernels export its value, a vmlinux has its address', () => {
  const vmlinux = {
    path: 'v',
    buildId: undefined,
    release: undefined,
    symbols: { address: () => 0xffff_ffff_8100_0000n },
  };
  const text = 'SYMBOL(mem_section)=ffff8b965ffd9000\nSYMBOL(_stext)=ffffffff81000000\n';
  checkVmlinux(vmlinux as never, new Vmcoreinfo(text), 'vmcore');
  const other = new Vmcoreinfo(text.replace('81000000', '81000040'));
  expect(error(() => checkVmlinux(vmlinux as never, other, 'vmcore')).code).toBe('wrong-vmlinux');
});

describe('files that do not serve', () => {
  test.each([
    ['a stripped one', without('.symtab'), 'no-symbols'],
    ['one without types', without('.debug_info'), 'no-debuginfo'],
    ['none at all', Buffer.from('#!/bin/sh\n'), 'not-elf'],
  ])('%s', (_, bytes, code) => {
    const thrown = error(() => openBytes(bytes, 'given'));
    expect(thrown.code).toBe(code);
    expect(thrown.message).toContain('given');
  });

  test('an object that was not linked', () => {
    const bytes = Buffer.from(original);
    bytes.writeUInt16LE(1, 16);
    expect(error(() => openBytes(bytes, 'module.ko')).message).toMatch(
      /module\.ko: is an object that was not linked/,
    );
  });

  test('a compressed one without a decompressor', () => {
    const bytes = readFileSync(fixturePath('dwarf5-zlib'));
    const thrown = error(() => openVmlinux(readerOf(bytes), bytes.length, 'given'));
    expect(thrown.code).toBe('compressed-section');
    expect(openVmlinux(readerOf(bytes), bytes.length, 'given', inflate).types.find('page')?.size).toBe(48);
  });

  test('one without notes has no build id, one without data no release', () => {
    const bare = openBytes(without('.note.gnu.build-id', '.data'));
    expect(bare.buildId).toBeUndefined();
    expect(bare.release).toBeUndefined();
  });
});
