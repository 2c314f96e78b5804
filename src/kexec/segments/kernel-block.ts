import {
  bootParamsLayout,
  bootProtocol,
  setupHeaderLength,
  setupHeaderStart,
} from '../../formats/boot-params.ts';
import type { BzImage } from '../../formats/bzimage.ts';
import type { ImageContent } from '../image/kernel-image.ts';

/** A kernel as one piece of memory, and what it says about how it wants to be started. */
export type KernelBlock = {
  readonly bytes: Uint8Array;
  /** Bytes of memory that it uses before it knows the memory map. */
  readonly memsz: number;
  readonly alignment: number;
  /** Lowest physical address that it can run at. */
  readonly lowest: number;
  /** Address that it was linked for and takes when it is free, or null where any place is as good. */
  readonly linked: number | null;
  /** Offset of the 64-bit entry point. */
  readonly entry: number;
  /** The setup header, from offset 0x1f1 of boot_params on. */
  readonly setupHeader: Uint8Array;
  /** Longest command line in bytes, without the terminating NUL. */
  readonly cmdline_size: number;
  readonly xloadflags: number;
};

const MIB = 1024 * 1024;
/** The boot sector and the sector behind it hold the setup header; a bzImage has at least these. */
const HEAD = 1024;

/** The protected-mode part of a bzImage. The real-mode part stays behind: only its header is handed over. */
export function bzImageBlock(content: ImageContent, image: BzImage): KernelBlock {
  const { setup_size } = image;
  const head = content.read(0, HEAD);
  const { at, from, most } = setupHeaderLength;
  const length = Math.min(from + head[at]! - setupHeaderStart, most);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return {
    bytes: content.read(setup_size, content.size - setup_size),
    memsz: image.init_size,
    alignment: image.kernel_alignment,
    lowest: Math.max(MIB, image.pref_address),
    linked: null,
    entry: bootProtocol.ENTRY_64,
    setupHeader: head.slice(setupHeaderStart, setupHeaderStart + length),
    cmdline_size: image.cmdline_size,
    xloadflags: view.getUint16(bootParamsLayout.fields.xloadflags[0], true),
  };
}
