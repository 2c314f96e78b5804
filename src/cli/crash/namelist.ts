import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Namelist } from '../../crash/session.ts';
import { openVmlinuxFile } from '../../dump/vmlinux-file.ts';
import type { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import { checkVmlinux, kernelOffset } from '../../kernel/vmlinux.ts';

/** No source file is larger. */
const maxSource = 2 ** 24;

/**
 * A vmlinux that was given along with a dump.
 * @param sources directory of the source that it was built from; else it may be the vmlinux's own
 * @throws KdumpError `wrong-vmlinux` when it is another kernel's, and what opening it throws
 */
export function openNamelist(
  path: string,
  info: Vmcoreinfo,
  dump: string,
  sources?: string,
): Namelist & { close(): void } {
  const { vmlinux, close } = openVmlinuxFile(path);
  try {
    checkVmlinux(vmlinux, info, dump);
  } catch (error) {
    close();
    throw error;
  }
  const offset = kernelOffset(info);
  return {
    path,
    sourceLine: (address) => vmlinux.sourceLine(address - offset),
    sourceText: (file) => textBelow(sources ?? dirname(path), file),
    close,
  };
}

/** A file below a directory; undefined when it is not there, or is none that could be source. */
function textBelow(directory: string, file: string): string | undefined {
  const root = resolve(directory);
  // Debug information names what it likes; only the tree is read.
  const path = resolve(root, file);
  if (!path.startsWith(root === '/' ? root : `${root}/`)) return undefined;
  const status = statSync(path, { throwIfNoEntry: false });
  return status?.isFile() && status.size <= maxSource ? readFileSync(path, 'utf8') : undefined;
}
