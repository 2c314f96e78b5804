import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { isMissing, type Missing } from './memory.ts';
import type { KernelObject } from './object.ts';
import type { KernelTask } from './tasks.ts';

export type OpenFile = { readonly descriptor: number; readonly file: KernelObject };

const mostFiles = 2 ** 20;

/** Files that a task has open, in the order of their numbers; undefined of one that has none of its own. */
export function openFiles(kernel: Kernel, task: KernelTask): readonly OpenFile[] | Missing | undefined {
  const files = task.object.member('files').integer();
  if (isMissing(files)) return files;
  if (files === 0n) return undefined;
  const table = kernel.object('files_struct', files).member('fdt').deref();
  if (isMissing(table)) return table;
  const count = known(table.member('max_fds').number()) ?? 0;
  const first = table.member('fd').integer();
  if (isMissing(first)) return first;
  const open: OpenFile[] = [];
  for (let descriptor = 0; descriptor < Math.min(count, mostFiles); descriptor++) {
    const address = known(kernel.core.u64(first + BigInt(8 * descriptor)));
    if (address) open.push({ descriptor, file: kernel.object('file', address) });
  }
  return open;
}

const types: Readonly<Record<number, string>> = {
  1: 'FIFO',
  2: 'CHR',
  4: 'DIR',
  6: 'BLK',
  8: 'REG',
  10: 'LNK',
  12: 'SOCK',
};

/** What kind of file an inode is: 'REG', 'CHR', 'SOCK'; 'UNKN' of those that have none. */
export function inodeType(inode: KernelObject | undefined): string {
  const mode = known(inode?.member('i_mode').number());
  if (mode === undefined) return 'UNKN';
  return types[mode >> 12] ?? 'UNKN';
}
