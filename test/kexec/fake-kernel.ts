import { constants } from 'node:os';
import type { Doors } from '../../src/kexec/apply.ts';
import type { MachineFacts } from '../../src/kexec/machine.ts';
import type { Segment } from '../../src/kexec/segments/segment.ts';
import type { ImageType } from '../../src/kexec/uapi.ts';
import type { CallResult } from '../../src/system/kexec.ts';
import { machineOf } from './fixtures.ts';

export const ok: CallResult = { ok: true };
export const failed = (errno: number): CallResult => ({ ok: false, errno });

/** A call of kexec_file_load, or of kexec_load if it has segments. */
export type Call = {
  kernelFd?: number;
  initrdFd?: number;
  commandLine?: string;
  entry?: number;
  segments?: readonly Segment[];
  flags: number;
};

/**
 * A kernel that answers as it is told and remembers what it was asked.
 * @param loaded what /sys says before the first and after the last call.
 */
export function fakeKernel(
  answers: readonly CallResult[],
  loaded: { before: boolean | null; after: boolean | null },
  { type = 'crash' as ImageType, permission = {} as Partial<MachineFacts['permission']> } = {},
): Doors & { calls: Call[] } {
  const machine = machineOf('vm-512m');
  const calls: Call[] = [];
  const answer = (call: Call): CallResult => {
    calls.push(call);
    return answers[calls.length - 1] ?? failed(constants.errno.EBUSY);
  };
  return {
    calls,
    kexecFileLoad: (kernelFd, initrdFd, commandLine, flags) =>
      answer({ kernelFd, initrdFd, commandLine, flags }),
    kexecLoad: (entry, segments, flags) => answer({ entry, segments, flags }),
    readMachine: () => ({
      ...machine,
      permission: { ...machine.permission, ...permission },
      loaded: { ...machine.loaded, [type]: calls.length < answers.length ? loaded.before : loaded.after },
    }),
  };
}
