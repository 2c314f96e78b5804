import { type Command, CommandTable } from '../../src/crash/command.ts';
import { Session, type SessionParts } from '../../src/crash/session.ts';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { openKernel } from '../../src/kernel/kernel.ts';
import { missing } from '../../src/kernel/memory.ts';
import { fakeKernelMemory, type KernelSpec } from '../helpers/kernel.ts';

/** A session about a kernel that never ran. */
export function sessionOf(
  spec: KernelSpec,
  physical?: Uint8Array,
  more: Pick<SessionParts, 'namelist' | 'saveFile'> = {},
): Session {
  return new Session({
    ...more,
    kernel: openKernel(fakeKernelMemory(spec)),
    commands: new CommandTable([]),
    dump: {
      paths: ['vmcore'],
      format: 'ELF',
      dumpLevel: undefined,
      incomplete: false,
      madeAt: undefined,
      vmcoreinfo: new Vmcoreinfo('OSRELEASE=6.6.6\n'),
      pages: () => ({ present: 0, held: 0 }),
      physical: {
        readInto(paddr, target) {
          if (physical === undefined || paddr + target.length > physical.length)
            return missing('hole', paddr);
          target.set(physical.subarray(paddr, paddr + target.length));
          return undefined;
        },
      },
    },
  });
}

export const linesOf = (session: Session, command: Command, line: string): string[] => [
  ...command.run(
    session,
    line.split(' ').filter((word) => word !== ''),
  ),
];
