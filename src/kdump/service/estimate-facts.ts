import { join } from 'node:path';
import { splitWords } from '../../kexec/command-line.ts';
import { openKernel } from '../../kexec/image/kernel-image.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { unlockBytes } from '../image/encryption.ts';
import { readMemorySize, reservedBy, tableCrashkernel } from './crashkernel.ts';
import { settleDesired } from './desired.ts';
import { type CaptureImage, locked, type ServiceDoors } from './doors.ts';
import { type EstimateFacts, measuredNeed } from './estimate.ts';

/**
 * Measures what is to be armed; the image is built when there is none of this content.
 * @throws KdumpError as settleDesired
 */
export function readEstimateFacts(settings: EffectiveSettings, doors: ServiceDoors): EstimateFacts {
  const { kernel, image, commandLine } = locked(doors, () => settleDesired(settings, doors));
  const memory = readMemorySize(doors.root) ?? 0;
  const measured = doors
    .findDumps([settings])
    .map(({ report }) => measuredNeed(report))
    .findLast((need) => need !== null);
  return {
    reserved: doors.kexec.readMachine().crash.size ?? 0,
    table: reservedBy(tableCrashkernel(doors.root), memory) ?? 0,
    kernel: initSize(join(doors.root, kernel.path)),
    image: image.bytes,
    unpacked: unpackedSize(image),
    modules: image.items.filter(({ path }) => path.endsWith('.ko')),
    unlock: unlockBytes(settings.targets, doors.root),
    cpus: cpusOf(commandLine),
    measured: measured ?? null,
  };
}

function initSize(path: string): number {
  const kernel = openKernel(path);
  try {
    return kernel.bzImage?.init_size ?? kernel.size;
  } finally {
    kernel.close();
  }
}

/** Of an image that somebody else has built: what kdump-utils has found to hold. */
const unknownRatio = 3;

/** Of our own images the squashfs stays as it is, and modules go as soon as they are loaded. */
function unpackedSize({ items, bytes, unpackedBytes }: CaptureImage): number {
  if (items.length === 0) return unpackedBytes ?? unknownRatio * bytes;
  const apart = items.filter(({ storedIn, path }) => storedIn === 'initramfs' && !path.endsWith('.ko'));
  return bytes + apart.reduce((sum, item) => sum + item.bytes, 0);
}

function cpusOf(commandLine: string): number {
  const value = splitWords(commandLine)
    .map((word) => /^(?:nr_cpus|maxcpus)=(\d+)$/.exec(word)?.[1])
    .findLast((number) => number !== undefined);
  return Math.max(1, Number(value ?? 1));
}
