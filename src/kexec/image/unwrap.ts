import { bzImageHeadBytes, hasBootHeader } from '../../formats/bzimage.ts';
import { KdumpError } from '../../lib/errors.ts';
import { type Compression, compressionOf, unpack } from '../../system/decompress.ts';
import { writeMemfd } from '../../system/memfd.ts';
import { FileContent, type ImageContent } from './content.ts';
import { readUki, type Uki } from './uki.ts';

/** What a kernel may be wrapped in: a compression, or a unified kernel image. */
export type Wrapping = Compression | 'uki';

export type Unwrapped = {
  /** Outermost first. */
  readonly wrapping: readonly Wrapping[];
  /** What is inside, whatever it is. */
  readonly content: ImageContent;
  readonly uki: Uki | null;
};

/** A compressed unified kernel image with a compressed kernel is as deep as it gets. */
const deepest = 3;

/**
 * Takes away what a kernel is wrapped in, told by the first bytes of each layer.
 * @param opened is given the descriptors of files in memory, which the caller closes when it is done with the content,
 *   also after an error
 * @throws KdumpError `decompress`, `memfd`, `bad-pe`, `bad-uki`, `image-read`, `kernel-wrapping` for too many layers
 */
export function unwrap(file: ImageContent, opened: number[]): Unwrapped {
  const wrapping: Wrapping[] = [];
  let content = file;
  let uki: Uki | null = null;
  for (;;) {
    const head = content.read(0, Math.min(content.size, bzImageHeadBytes));
    const compression = compressionOf(head);
    // A kernel with an EFI stub is a PE file, too.
    const inner = compression === undefined && !hasBootHeader(head) ? readUki(content) : null;
    if (compression === undefined && inner === null) return { wrapping, content, uki };

    wrapping.push(compression ?? 'uki');
    if (wrapping.length > deepest || (inner !== null && uki !== null))
      throw new KdumpError(
        'kernel-wrapping',
        `${file.name}: wrapped too often: a kernel in ${wrapping.toReversed().join(' in ')}`,
      );
    if (inner === null) {
      content = unpacked(content, `${content.name}: unpacked ${compression}`, opened);
    } else {
      uki = inner;
      content = inner.linux;
    }
  }
}

function unpacked(content: ImageContent, name: string, opened: number[]): ImageContent {
  const fd = writeMemfd('kernel', (write) => unpack(content, content.name, write));
  opened.push(fd);
  return new FileContent(fd, name);
}
