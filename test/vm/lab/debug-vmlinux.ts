// Debian's vmlinux with DWARF, which crash(8) cannot do without. Only tests that compare with crash want it: 300 MB to
// download, two to five times that in the cache.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../../src/lib/errors.ts';
import type { LabKernel } from './kernels.ts';
import { newest, type Suite, unpacked } from './packages.ts';

const suites: readonly Suite[] = ['bookworm', 'bookworm-security'];

/** Path of the vmlinux with debug information of one of Debian 12's kernels. */
export async function debugVmlinux({ release }: Pick<LabKernel, 'release'>): Promise<string> {
  const root = await unpacked(suites, await newest(suites, `linux-image-${release}-dbg`), true);
  const path = [`boot/vmlinux-${release}`, `lib/modules/${release}/vmlinux`]
    .map((place) => join(root, 'usr/lib/debug', place))
    .find((candidate) => existsSync(candidate));
  if (path === undefined) throw new KdumpError('lab-kernel', `${root} holds no vmlinux of ${release}`);
  return path;
}
