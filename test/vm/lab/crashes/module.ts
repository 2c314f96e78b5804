// A kernel module that dies in many ways, built for a kernel of Debian 12 with that kernel's own headers and compiler: all
// of it in a tree of its own, nothing of the host's.
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cachePath, contentHash, withTemporaryDirectory } from '../cache.ts';
import { labFile } from '../images.ts';
import type { LabKernel } from '../kernels.ts';
import { newest, type Suite, unpacked } from '../packages.ts';
import { check } from '../process.ts';

const suites: readonly Suite[] = ['bookworm', 'bookworm-security'];
/** What make and the kernel's makefiles run besides the compiler. */
const tools = ['make', 'dash', 'bash', 'coreutils', 'findutils', 'grep', 'sed', 'mawk', 'kmod'];
/** Mounts are this process's own; the tree sees the host's devices and nothing else of it. */
const inTree = 'mount --rbind /dev "$1/dev" && exec chroot "$1" /bin/sh -c "$2"';

/** Path of kdump_lab.ko for a kernel. */
export async function crashingModule({ release }: Pick<LabKernel, 'release'>): Promise<string> {
  const source = labFile('crashes/kdump_lab.c');
  const headers = `linux-headers-${release}`;
  const version = await newest(suites, headers);
  const key = contentHash([release, version.version, readFileSync(source)]);
  return cached(cachePath('modules', `${release}-${key}.ko`), async (incomplete) => {
    const tree = await unpacked(suites, version, false, tools);
    await withTemporaryDirectory(async (directory) => {
      // A tree of links would not do: the compiler looks for its parts beside itself.
      const root = join(directory, 'tree');
      await check('cp', ['-a', '--reflink=auto', tree, root]);
      for (const name of ['dev', 'build', 'tmp', 'proc']) mkdirSync(join(root, name), { recursive: true });
      link(root, 'usr/bin/awk', 'mawk');
      link(root, 'bin/sh', 'dash');
      cpSync(source, join(root, 'build/kdump_lab.c'));
      writeFileSync(join(root, 'build/Makefile'), 'obj-m := kdump_lab.o\n');
      const make = `export PATH=/usr/bin:/bin:/usr/sbin:/sbin; make -C /usr/src/${headers} M=/build modules`;
      await check('unshare', ['--map-root-user', '--mount', 'sh', '-c', inTree, 'sh', root, make], {
        timeout: 300_000,
      });
      cpSync(join(root, 'build/kdump_lab.ko'), `${incomplete}.ko`);
    });
    renameSync(`${incomplete}.ko`, incomplete);
  });
}

/** What alternatives would link when packages are installed. */
function link(root: string, path: string, target: string): void {
  if (!existsSync(join(root, path))) symlinkSync(target, join(root, path));
}
