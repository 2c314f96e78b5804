import { numberedEntries, readHex, readInteger } from '../../system/proc.ts';
import type { CpuNote } from './layout-facts.ts';

const directory = 'sys/devices/system/cpu';
/** Bytes of a crash note on kernels that do not tell (before 3.11). */
const noteSize = 1024;

/**
 * Where the running kernel will save the registers of each CPU, online or not, by the CPUs' own numbers.
 * /sys/devices/system/cpu/cpuN/crash_notes: a physical address, hexadecimal; crash_notes_size: bytes, decimal.
 */
export function readCpuNotes(root: string): CpuNote[] {
  return numberedEntries(root, directory, 'cpu').flatMap((cpu) => {
    const paddr = readHex(root, `${directory}/cpu${cpu}/crash_notes`);
    const size = readInteger(root, `${directory}/cpu${cpu}/crash_notes_size`) ?? noteSize;
    return paddr === null ? [] : [{ cpu, paddr: Number(paddr), size }];
  });
}
