import { closeSync } from 'node:fs';
import { type BzImage, bzImageHeadBytes, hasBootHeader, probeBzImage } from '../../formats/bzimage.ts';
import { isElf } from '../../formats/elf.ts';
import { findMultiboot } from '../../formats/multiboot.ts';
import { KdumpError } from '../../lib/errors.ts';
import { exitCodes } from '../uapi.ts';
import { descriptorOf, type ImageContent } from './content.ts';
import { openImageFile } from './image-file.ts';
import type { Uki } from './uki.ts';
import { unwrap, type Wrapping } from './unwrap.ts';
import { checkVmlinux } from './vmlinux.ts';

export type { ImageContent } from './content.ts';

/** A kernel that can be loaded, whatever its file wraps it in. */
export type KernelImage = {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Outermost first; empty for a file that is the kernel itself. */
  readonly wrapping: readonly Wrapping[];
  readonly kind: 'bzImage' | 'vmlinux';
  /** What a bzImage says about itself; null for a vmlinux. */
  readonly bzImage: BzImage | null;
  /** The kernel itself, unwrapped. */
  readonly content: ImageContent;
  /** What else a unified kernel image brings along; null for any other file. */
  readonly uki: UkiParts | null;
  /**
   * A descriptor for kexec_file_load, which the caller closes: of the file itself when nothing was unwrapped, else of
   * a sealed file in memory with the kernel. @throws KdumpError `memfd`
   */
  openFile(): number;
  /** Ends the use of `content` and of what is in `uki`. */
  close(): void;
};

/**
 * A signature of the envelope vouches for nothing in kexec_file_load, which is given the kernel in it:
 * BzImage.signed is the kernel's own.
 */
export type UkiParts = Omit<Uki, 'linux'>;

/** An initrd; the kernel unpacks it itself, whatever it is compressed with. */
export type InitrdImage = {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly content: ImageContent;
  /** A descriptor for kexec_file_load, which the caller closes. @throws KdumpError `memfd` */
  openFile(): number;
  /** Ends the use of `content`. */
  close(): void;
};

/**
 * Opens a kernel and takes away what it is wrapped in. Files stay open until `close`.
 * @throws KdumpError `kernel-file` (missing, unreadable, a directory, empty), `not-a-kernel`, `kernel-unsupported`,
 *   `kernel-truncated`, and what `unwrap` and readElf throw
 */
export function openKernel(path: string): KernelImage {
  const file = openImageFile('kernel', path);
  const opened = [file.fd];
  const close = (): void => {
    for (const fd of opened.splice(0)) closeSync(fd);
  };
  try {
    const { wrapping, content, uki } = unwrap(file, opened);
    return {
      path,
      size: file.size,
      wrapping,
      ...probe(content),
      content,
      uki: uki === null ? null : partsOf(uki),
      openFile: () => descriptorOf(content),
      close,
    };
  } catch (error) {
    close();
    throw error instanceof KdumpError ? withPath(error, path) : error;
  }
}

/** @throws KdumpError `initrd-file` (missing, unreadable, a directory, empty). */
export function openInitrd(path: string): InitrdImage {
  const file = openImageFile('initrd', path);
  return { ...initrdFrom(file), path, close: () => closeSync(file.fd) };
}

/** An initrd that lies in something else, a unified kernel image; it can be used as long as that one. */
export function initrdFrom(content: ImageContent): InitrdImage {
  return {
    path: content.name,
    size: content.size,
    content,
    openFile: () => descriptorOf(content),
    close: () => {},
  };
}

function probe(content: ImageContent): Pick<KernelImage, 'kind' | 'bzImage'> {
  const { name, size } = content;
  const head = content.read(0, Math.min(size, bzImageHeadBytes));
  if (!hasBootHeader(head)) {
    const multiboot = findMultiboot(head);
    if (multiboot !== null && !isElf64(head))
      throw new KdumpError(
        'kernel-unsupported',
        `${name}: a multiboot${multiboot.version === 2 ? '2' : ''} image (header at offset 0x${multiboot.offset.toString(16)}), which cannot be loaded: only a bzImage or a 64-bit vmlinux can`,
      );
    if (isElf(head)) {
      checkVmlinux(content);
      return { kind: 'vmlinux', bzImage: null };
    }
  }
  return { kind: 'bzImage', bzImage: probeBzImage(head, size, name) };
}

/** EI_CLASS at offset 4: 2 is 64 bits. */
const isElf64 = (head: Uint8Array): boolean => isElf(head) && head[4] === 2;

function partsOf({ commandLine, initrd, dtb, signed }: Uki): UkiParts {
  return { commandLine, initrd, dtb, signed };
}

/** The formats' errors know no tools; the original ends with this code for a file that it cannot load. */
function withPath(error: KdumpError, path: string): KdumpError {
  return new KdumpError(error.code, error.message, {
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    facts: { ...error.facts, path },
    exitCode: exitCodes.failed,
    cause: error.cause,
  });
}
