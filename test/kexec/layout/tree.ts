import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { PT_LOAD } from '../../../src/formats/elf.ts';
import {
  elfHeaderSize,
  elfHeadersSize,
  encodeElfHeader,
  newElfHeader,
  programHeaderSize,
} from '../../../src/formats/elf-encode.ts';

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A root directory with these files in it, for one test. */
export function tree(files: Files): string {
  const root = mkdtempSync(join(tmpdir(), 'kdump-tree-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** Entries of /sys/firmware/memmap; `end` is the last byte. */
export function memmap(...entries: readonly (readonly [start: number, end: number, type: string])[]): Files {
  return Object.fromEntries(
    entries.flatMap(([start, end, type], i) => [
      [`sys/firmware/memmap/${i}/start`, `0x${start.toString(16)}\n`],
      [`sys/firmware/memmap/${i}/end`, `0x${end.toString(16)}\n`],
      [`sys/firmware/memmap/${i}/type`, `${type}\n`],
    ]),
  );
}

/** Headers of a /proc/kcore with one page at each address, or as much as is said. */
export function kcore(
  ...loads: readonly (readonly [vaddr: bigint, paddr: bigint, size?: bigint])[]
): Uint8Array {
  const bytes = Buffer.alloc(elfHeadersSize(loads.length));
  bytes.set(encodeElfHeader(newElfHeader(62), loads.length, 0).header);
  for (const [i, [vaddr, paddr, size = 4096n]] of loads.entries()) {
    const at = elfHeaderSize + i * programHeaderSize;
    bytes.writeUInt32LE(PT_LOAD, at);
    // The kernel's offsets are the virtual addresses' low bits, 56 of them with 5-level paging.
    for (const [word, value] of [BigInt.asUintN(56, vaddr), vaddr, paddr, size, size, 4096n].entries())
      bytes.writeBigUInt64LE(value, at + 8 + word * 8);
  }
  return bytes;
}
