import { elfHeaderLayout, programHeaderLayout } from '../../../src/formats/elf.ts';
import { type Struct, writeStruct } from '../../../src/lib/layout.ts';
import { syntheticHead } from '../synthetic-kernel.ts';

/** A bzImage of 84 KiB: its headers, and behind them bytes that can be told from others. */
export function smallBzImage(...head: Parameters<typeof syntheticHead>): Buffer {
  const [fields, options] = head;
  const file = Buffer.alloc(40 * 512 + 4096 * 16, 'payload ');
  file.set(syntheticHead({ syssize: 4096, ...fields }, options).subarray(0, 40 * 512));
  return file;
}

type Header = Partial<Struct<typeof elfHeaderLayout.fields>>;
type ProgramHeader = Partial<Struct<typeof programHeaderLayout.fields>>;

/** An unpacked kernel of 8 KiB with one PT_LOAD, with what a test wants to be different. */
export function smallVmlinux(
  header: Header = {},
  load: ProgramHeader = {},
  more: ProgramHeader[] = [],
): Buffer {
  const file = Buffer.alloc(8192, 'code ');
  file.fill(0, 0, elfHeaderLayout.size);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const loads = [
    {
      type: 1,
      offset: 4096,
      vaddr: 0xffffffff81000000n,
      paddr: 0x1000000n,
      filesz: 4096,
      memsz: 8192,
      ...load,
    },
    ...more,
  ];
  writeStruct(elfHeaderLayout, file, 0, {
    type: 2,
    machine: 62,
    version: 1,
    entry: 0x1000000n,
    phoff: elfHeaderLayout.size,
    phentsize: programHeaderLayout.size,
    phnum: loads.length,
    ...header,
  });
  for (const [index, values] of loads.entries()) {
    const at = elfHeaderLayout.size + index * programHeaderLayout.size;
    file.fill(0, at, at + programHeaderLayout.size);
    writeStruct(programHeaderLayout, file, at, values);
  }
  return file;
}
