import { KdumpError } from '../lib/errors.ts';
import type { Architecture } from './arch.ts';
import { x86_64 } from './x86_64.ts';

/** Every architecture that can be read. */
const rows: readonly Architecture[] = [x86_64];

/** @throws KdumpError `unsupported-architecture` */
export function architectureOf(elfMachine: number, file: string): Architecture {
  const row = rows.find((arch) => arch.elfMachine === elfMachine);
  if (row === undefined) {
    const known = rows.map((arch) => `${arch.name} (${arch.elfMachine})`).join(', ');
    throw new KdumpError(
      'unsupported-architecture',
      `${file}: e_machine is ${elfMachine}; known are ${known}`,
    );
  }
  return row;
}

/** The row of a utsname.machine; undefined when none has that name. */
export function architectureNamed(machine: string): Architecture | undefined {
  return rows.find((arch) => arch.name === machine);
}
