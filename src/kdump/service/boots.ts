import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** kdump-boot-end.service makes such a file, named after the boot, and removes it when the machine is shut down. */
const mark = /^boot-[0-9a-f]{32}$/;

/**
 * Marks of boots before this one that did not end with a shutdown, but in a crash, a reset or a loss of power.
 * @param directory where the service keeps what it remembers
 * @param bootId as /proc/sys/kernel/random/boot_id has it
 */
export function unendedBoots(directory: string, bootId: string | null): string[] {
  if (bootId === null) return [];
  const own = `boot-${bootId.replaceAll('-', '')}`;
  try {
    return readdirSync(directory).filter((name) => mark.test(name) && name !== own);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** What is known of these boots is written down. */
export function forgetBoots(directory: string, marks: readonly string[]): void {
  for (const name of marks) rmSync(join(directory, name), { force: true });
}
