import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import type { EraseKernel } from '../../src/dump/erase/kernel.ts';
import type { Decompress } from '../../src/formats/elf-sections.ts';
import { type AddressTranslator, missing, VirtualMemory } from '../../src/kernel/memory.ts';
import { openVmlinux, type Vmlinux } from '../../src/kernel/vmlinux.ts';

/**
 * The small kernels of test/fixtures/vmlinux: the same two source files with the debug information of several versions
 * of DWARF. They never ran; their data, as linked, stands for the memory of one that did.
 */
export const fixtures = ['dwarf2', 'dwarf4', 'dwarf5', 'dwarf5-64bit', 'dwarf5-zlib'] as const;
export type Fixture = (typeof fixtures)[number];

export const fixturePath = (name: Fixture): string => join(import.meta.dirname, '../fixtures/vmlinux', name);

export const readerOf =
  (bytes: Uint8Array) =>
  (offset: number, length: number): Uint8Array =>
    bytes.subarray(offset, offset + length);

export const inflate: Decompress = (format, bytes) => {
  if (format !== 'zlib') throw new Error(`the fixtures have no ${format}`);
  return inflateSync(bytes);
};

export const openBytes = (bytes: Uint8Array, name = 'vmlinux'): Vmlinux =>
  openVmlinux(readerOf(bytes), bytes.length, name, inflate);

export const openFixture = (name: Fixture): Vmlinux => openBytes(readFileSync(fixturePath(name)), name);

const pageSize = 4096;
/** Where the fixtures are linked. */
export const imageStart = 0xffff_ffff_8100_0000n;
const imagePages = 8;
/** Physical page frame of a page of the image: neighbours are not neighbours in physical memory. */
const frames = [103, 101, 102, 107, 106, 104, 105, 100];

export type FixtureKernel = EraseKernel & {
  /** Physical address of a virtual one. */
  physical(address: bigint): number;
  /** Overwrites memory. */
  write(address: bigint, bytes: Uint8Array): void;
  vmlinux: Vmlinux;
};

/** A kernel in memory, made of a fixture's data; only the image is mapped. */
export function fixtureKernel(name: Fixture = 'dwarf5'): FixtureKernel {
  const vmlinux = openFixture(name);
  const ram = new Uint8Array(110 * pageSize);
  const physical = (address: bigint): number => {
    const offset = Number(address - imageStart);
    return frames[Math.floor(offset / pageSize)]! * pageSize + (offset % pageSize);
  };
  for (let offset = 0; offset < imagePages * pageSize; offset++) {
    const address = imageStart + BigInt(offset);
    ram[physical(address)] = vmlinux.content(address, 1)?.[0] ?? 0;
  }
  const translator: AddressTranslator = {
    translate(vaddr) {
      if (vaddr < imageStart || vaddr >= imageStart + BigInt(imagePages * pageSize))
        return missing('unmapped', vaddr);
      const length = pageSize - Number(vaddr % BigInt(pageSize));
      return { vaddr, paddr: physical(vaddr), length };
    },
  };
  const memory = new VirtualMemory(
    {
      readInto(paddr, target) {
        target.set(ram.subarray(paddr, paddr + target.length));
        return undefined;
      },
    },
    translator,
  );
  return {
    memory,
    symbols: vmlinux.symbols,
    types: vmlinux.types,
    pageSize,
    physical,
    write: (address, bytes) => {
      for (const [i, byte] of bytes.entries()) ram[physical(address + BigInt(i))] = byte;
    },
    vmlinux,
  };
}
