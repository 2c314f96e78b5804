import { inflateSync } from 'node:zlib';
import type { Decompress } from '../formats/elf-sections.ts';
import { openVmlinux, type Vmlinux } from '../kernel/vmlinux.ts';
import { KdumpError } from '../lib/errors.ts';
import { decompress } from '../system/decompress.ts';
import { FileBytes } from './input/bytes.ts';

export type VmlinuxFile = { readonly vmlinux: Vmlinux; close(): void };

/**
 * Opens the vmlinux at a path (-x). It is read as far as lookups need it until it is closed.
 * @throws KdumpError `open-failed`, and all that `openVmlinux` throws
 */
export function openVmlinuxFile(path: string): VmlinuxFile {
  const file = new FileBytes(path);
  try {
    const read = (offset: number, length: number): Uint8Array => {
      const target = Buffer.alloc(Math.max(0, Math.min(length, file.size - offset)));
      return target.subarray(0, file.readInto(offset, target));
    };
    const vmlinux = openVmlinux(read, file.size, path, unpack(path));
    return { vmlinux, close: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
}

const unpack =
  (path: string): Decompress =>
  (format, bytes, size) => {
    try {
      return format === 'zlib'
        ? inflateSync(bytes, { maxOutputLength: Math.max(1, size) })
        : decompress(bytes, `${path}: a debug section`);
    } catch (error) {
      if (error instanceof KdumpError) throw error;
      throw new KdumpError(
        'compressed-section',
        `${path}: a compressed debug section cannot be unpacked: ${(error as Error).message}`,
        { cause: error },
      );
    }
  };
