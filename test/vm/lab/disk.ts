// ext4 images made and read on the host without mounting them: no root, no loop device.
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../../src/lib/errors.ts';
import { withTemporaryDirectory } from './cache.ts';
import { check, run } from './process.ts';

/** What a disk starts with: path in the guest → path of a file on the host, or the contents. */
export type DiskFiles = Readonly<Record<string, string | { text: string } | { bytes: Uint8Array }>>;

/**
 * Makes a sparse ext4 image.
 * @param size MiB.
 */
export async function makeDisk(path: string, size: number, files: DiskFiles): Promise<void> {
  await withTemporaryDirectory(async (staging) => {
    for (const [name, source] of Object.entries(files)) {
      const target = join(staging, name);
      mkdirSync(dirname(target), { recursive: true });
      if (typeof source === 'string') copyFileSync(source, target, constants.COPYFILE_FICLONE);
      else writeFileSync(target, 'text' in source ? source.text : source.bytes);
    }
    writeFileSync(path, '');
    truncateSync(path, size * 2 ** 20);
    await check('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'root_owner=0:0', '-d', staging, path]);
  });
}

/**
 * Copies a directory of an image to the host, sparse where it is zero.
 * @returns false when the image has no such directory.
 */
export async function readDisk(path: string, directory: string, into: string): Promise<boolean> {
  // A guest that was cut off leaves a journal to replay; on a clean file system this does nothing.
  const checked = await run('e2fsck', ['-p', path]);
  if (checked.status === null || checked.status > 2) {
    throw new KdumpError(
      'lab-disk',
      `the guest's file system is damaged (e2fsck: ${checked.stdout}${checked.stderr})`,
    );
  }
  return withTemporaryDirectory(async (staging) => {
    const told = await run('debugfs', ['-R', `rdump ${directory} ${staging}`, path], { timeout: 600_000 });
    if (/File not found/.test(told.stderr)) return false;
    const copied = readdirSync(staging)[0];
    if (copied === undefined) {
      throw new KdumpError(
        'lab-disk',
        `debugfs copied nothing of ${directory} out of ${path}: ${told.stderr.trim()}`,
      );
    }
    rmSync(into, { recursive: true, force: true });
    if (!existsSync(dirname(into))) mkdirSync(dirname(into), { recursive: true });
    await check('cp', ['-r', '--sparse=always', join(staging, copied), into], { timeout: 600_000 });
    return true;
  });
}
