import { KdumpError } from '../../lib/errors.ts';
import type { ImageItem } from './assemble.ts';

/** Above this share of the reserved memory, an image leaves little for the kernel and the collector. */
const fairShare = 1 / 3;
/** While the kernel unpacks an image, it has both: packed and unpacked. */
const largestShare = 1 / 2;
const named = 10;

/**
 * Holds the size of an image against the memory that is reserved for the capture kernel.
 * @param reserved bytes; null when it is not known
 * @returns a warning when the image is large
 * @throws KdumpError `image-too-large` when it cannot be unpacked there
 */
export function checkBudget(
  image: { readonly bytes: number; readonly items: readonly ImageItem[] },
  reserved: number | null,
): string | undefined {
  if (reserved === null || reserved === 0 || image.bytes <= reserved * fairShare) return undefined;
  const percent = Math.round((image.bytes / reserved) * 100);
  const largest = image.items
    .slice(0, named)
    .map(({ path, bytes }) => `${path} ${mebibytes(bytes)}`)
    .join(', ');
  const sentence = `The capture image has ${mebibytes(image.bytes)} MiB, ${percent} % of the ${mebibytes(reserved)} MiB that are reserved by crashkernel=${largest === '' ? '' : `; its largest files, in MiB unpacked: ${largest}`}`;
  if (image.bytes <= reserved * largestShare) return `${sentence}.`;
  throw new KdumpError('image-too-large', sentence, {
    fix: 'Reserve more memory, or leave out what the capture does not need (extra_bins, extra_modules).',
    facts: { bytes: image.bytes, reserved },
  });
}

const mebibytes = (bytes: number): string => (bytes / (1 << 20)).toFixed(1);
