import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import type { KernelObject } from './object.ts';

/** Names from a file to the root of everything: more are no path. */
const mostNames = 128;

/** Path of an open file as a process of the first mount namespace sees it; undefined when it has none that can be read. */
export function pathOfFile(kernel: Kernel, file: KernelObject): string | undefined {
  const dentry = known(file.find('f_path.dentry')?.deref());
  const mount = known(file.find('f_path.mnt')?.integer());
  return dentry === undefined ? undefined : pathOf(kernel, dentry, mount);
}

/** Path of a dentry; without a mount, from the root of its file system. */
export function pathOf(kernel: Kernel, from: KernelObject, mounted?: bigint): string | undefined {
  const names: string[] = [];
  let dentry = from;
  let mount = mounted ? kernel.containerOf(mounted, 'mount', 'mnt') : undefined;
  for (let step = 0; step < mostNames; step++) {
    const parent = known(dentry.member('d_parent').integer());
    const root = known(mount?.member('mnt.mnt_root').integer());
    if (parent === undefined) return undefined;
    if (dentry.address === root || parent === dentry.address) {
      const up = known(mount?.member('mnt_parent').deref());
      const below = known(mount?.member('mnt_mountpoint').deref());
      if (up === undefined || below === undefined || up.address === mount?.address)
        return names.length === 0 && step === 0 ? nameless(dentry) : `/${names.reverse().join('/')}`;
      dentry = below;
      mount = up;
      continue;
    }
    const name = known(dentry.member('d_name.name').text());
    if (name === undefined) return undefined;
    names.push(name);
    dentry = kernel.object('dentry', parent);
  }
  return undefined;
}

/** What has no place in any directory: 'pipe:[1234]', as /proc shows it; of a root itself '/'. */
function nameless(dentry: KernelObject): string | undefined {
  const kind = known(dentry.follow('d_sb.s_type.name') as KernelObject);
  const type = known(kind?.text());
  const inode = known(dentry.member('d_inode').deref());
  const number = known(inode?.find('i_ino')?.integer());
  const [, special] = /^(pipe|sock|anon_inode)/.exec(type ?? '') ?? [];
  if (special === undefined) return '/';
  return special === 'anon_inode'
    ? `anon_inode:${known(dentry.member('d_name.name').text()) ?? ''}`
    : `${special === 'sock' ? 'socket' : special}:[${number ?? '?'}]`;
}
