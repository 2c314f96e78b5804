import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, extname } from 'node:path';

/**
 * Files that survive a crash or are seen to be unfinished: written under an "incomplete" name, synced, renamed, and the
 * directory synced. A name without "incomplete" is a promise.
 */

/** `vmcore` → `vmcore-incomplete`, `vmcore-dmesg.txt` → `vmcore-dmesg-incomplete.txt`. */
export function incompleteName(path: string): string {
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}-incomplete${extension}`;
}

/** Makes the names in a directory durable. */
export function syncDirectory(directory: string): void {
  syncFile(directory);
}

/**
 * Writes a file so that its name only ever stands for the whole content.
 * On an error nothing is left behind under either name that was not there before.
 * @param mode permissions, whatever the umask; owner only unless said otherwise
 */
export function writeFileDurably(
  path: string,
  content: string | Uint8Array | readonly Uint8Array[],
  mode = 0o600,
): void {
  const incomplete = incompleteName(path);
  const pieces =
    typeof content === 'string'
      ? [Buffer.from(content)]
      : content instanceof Uint8Array
        ? [content]
        : content;
  // A link that someone planted under the name is replaced, never followed.
  rmSync(incomplete, { force: true });
  const fd = openSync(incomplete, 'wx', mode);
  try {
    try {
      fchmodSync(fd, mode);
      for (const piece of pieces) writeAll(fd, piece);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(incomplete, path);
  } catch (error) {
    rmSync(incomplete, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/** Gives a file that was written under its incomplete name its own name: sync, permissions, rename, directory sync. */
export function finishDurably(incomplete: string, path: string, mode = 0o600): void {
  chmodSync(incomplete, mode);
  syncFile(incomplete);
  renameSync(incomplete, path);
  syncDirectory(dirname(path));
}

/** Makes the content of a file durable. */
export function syncFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes all bytes, since write(2) may take fewer at a time.
 * @param offset where in the file; its own position when not given
 */
export function writeAll(fd: number, bytes: Uint8Array, offset?: number): void {
  for (let done = 0; done < bytes.length; ) {
    const place = offset === undefined ? null : offset + done;
    done += writeSync(fd, bytes, done, bytes.length - done, place);
  }
}
