import { bootParamsLayout, bootProtocol, setupHeaderStart } from '../../formats/boot-params.ts';
import { elfHeaderLayout, type ProgramHeader, PT_LOAD, readElf } from '../../formats/elf.ts';
import { KdumpError } from '../../lib/errors.ts';
import { readStruct, writeStruct } from '../../lib/layout.ts';
import { alignDown } from '../../lib/ranges.ts';
import type { ImageContent } from '../image/kernel-image.ts';
import { exitCodes } from '../uapi.ts';
import type { KernelBlock } from './kernel-block.ts';
import { hex } from './placement.ts';

/** MIN_KERNEL_ALIGN: startup_64 finds out how far it was moved, and stops when that is not a multiple of 2 MiB. */
const ALIGNMENT = 2 * 1024 * 1024;
/** A kernel is far smaller; program headers that say otherwise are damaged. */
const LARGEST = 1024 ** 3;
/** COMMAND_LINE_SIZE of arch/x86/include/asm/setup.h, less the NUL. */
const CMDLINE_SIZE = 2047;

/**
 * An unpacked kernel as one block: its PT_LOADs where their physical addresses put them, zeros between them. The block
 * can be moved as a whole.
 * @throws KdumpError `kernel-unsupported` when the program headers describe no such block
 */
export function vmlinuxBlock(content: ImageContent): KernelBlock {
  const { name } = content;
  const elf = readElf((offset, length) => content.read(offset, length), name);
  const loads = elf.programHeaders
    .filter((header) => header.type === PT_LOAD && header.memsz > 0)
    .map((header) => ({
      ...header,
      start: physical(header, name),
      end: physical(header, name) + header.memsz,
    }))
    .sort((a, b) => a.start - b.start);
  for (const [i, { start, end, filesz, memsz }] of loads.entries()) {
    if (filesz > memsz)
      throw unsupported(name, `the PT_LOAD for ${hex(start)} has ${filesz} bytes for ${memsz} of memory`);
    const next = loads[i + 1];
    if (next !== undefined && next.start < end)
      throw unsupported(name, `its PT_LOADs for ${hex(start)} and ${hex(next.start)} overlap`);
  }
  const first = loads[0];
  if (first === undefined) throw unsupported(name, 'it has no PT_LOAD');
  const start = alignDown(first.start, ALIGNMENT);
  const memsz = loads.at(-1)!.end - start;
  if (memsz > LARGEST) throw unsupported(name, `its PT_LOADs are spread over ${memsz} bytes`);

  const { entry } = readStruct(elfHeaderLayout, elf.header);
  const entryAddress = entryOf(entry, loads);
  if (entryAddress === undefined)
    throw unsupported(name, `its entry point 0x${entry.toString(16)} lies in none of its PT_LOADs`);

  const bytes = new Uint8Array(Math.max(...loads.map((load) => load.start + load.filesz)) - start);
  for (const load of loads) bytes.set(content.read(load.offset, load.filesz), load.start - start);
  return {
    bytes,
    memsz,
    alignment: ALIGNMENT,
    lowest: start,
    linked: start,
    entry: entryAddress - start,
    setupHeader: plainSetupHeader(),
    cmdline_size: CMDLINE_SIZE,
    xloadflags: 0,
  };
}

function physical(header: ProgramHeader, name: string): number {
  if (header.paddr > BigInt(Number.MAX_SAFE_INTEGER))
    throw unsupported(name, `0x${header.paddr.toString(16)} is no physical address`);
  return Number(header.paddr);
}

/** Physical address of the entry point: e_entry says it so on x86_64, and virtually where a link script was changed. */
function entryOf(
  entry: bigint,
  loads: readonly { start: number; end: number; vaddr: bigint; memsz: number }[],
): number | undefined {
  for (const { start, end } of loads) if (entry >= BigInt(start) && entry < BigInt(end)) return Number(entry);
  for (const { start, vaddr, memsz } of loads)
    if (entry >= vaddr && entry < vaddr + BigInt(memsz)) return start + Number(entry - vaddr);
  return undefined;
}

/** What the boot protocol asks of a loader that has no header to copy: 2.12, which brought the 64-bit entry. */
function plainSetupHeader(): Uint8Array {
  const { HDRS, BOOT_FLAG, LOADED_HIGH, XLF_KERNEL_64, XLF_CAN_BE_LOADED_ABOVE_4G } = bootProtocol;
  const params = new Uint8Array(bootParamsLayout.size);
  writeStruct(bootParamsLayout, params, 0, {
    boot_flag: BOOT_FLAG,
    header: HDRS,
    version: 0x020c,
    loadflags: LOADED_HIGH,
    initrd_addr_max: 0x7fffffff,
    kernel_alignment: ALIGNMENT,
    relocatable_kernel: 1,
    xloadflags: XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G,
    cmdline_size: CMDLINE_SIZE,
  });
  return params.slice(setupHeaderStart, setupHeaderStart + 0x7f);
}

function unsupported(name: string, why: string): KdumpError {
  return new KdumpError('kernel-unsupported', `${name}: this vmlinux cannot be loaded: ${why}`, {
    exitCode: exitCodes.failed,
  });
}
