import type { Namelist } from '../../crash/session.ts';
import { openVmlinuxFile } from '../../dump/vmlinux-file.ts';
import type { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import { checkVmlinux, kernelOffset } from '../../kernel/vmlinux.ts';

/**
 * A vmlinux that was given along with a dump.
 * @throws KdumpError `wrong-vmlinux` when it is another kernel's, and what opening it throws
 */
export function openNamelist(path: string, info: Vmcoreinfo, dump: string): Namelist & { close(): void } {
  const { vmlinux, close } = openVmlinuxFile(path);
  try {
    checkVmlinux(vmlinux, info, dump);
  } catch (error) {
    close();
    throw error;
  }
  const offset = kernelOffset(info);
  return { path, sourceLine: (address) => vmlinux.sourceLine(address - offset), close };
}
