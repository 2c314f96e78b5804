import { commands } from '../../crash/commands/index.ts';
import { type Namelist, Session } from '../../crash/session.ts';
import { KdumpError } from '../../lib/errors.ts';
import { type Dump, openDump, runningKernel } from '../../library/open-dump.ts';
import { isNamelist } from './file-kind.ts';
import { openNamelist } from './namelist.ts';
import { saveFile } from './output.ts';

export type OpenSession = { readonly session: Session; readonly warnings: readonly string[]; close(): void };

/**
 * Opens what the command line names: dumps and a vmlinux in any order, told by their content; `live`, /proc/kcore or
 * nothing for the running kernel.
 * @param sources directory of the kernel's source
 * @throws KdumpError
 */
export function openSession(paths: readonly string[], sources?: string): OpenSession {
  const files = paths.map((path) => (path === 'live' ? runningKernel : path));
  const namelists = files.filter((path) => path !== runningKernel && isNamelist(path));
  const dumps = files.filter((path) => !namelists.includes(path));
  if (namelists.length > 1)
    throw new KdumpError('usage', `${namelists.join(', ')}: only one vmlinux can be that of the kernel`);
  const dump = openDump(dumps.length === 0 ? runningKernel : dumps);
  const warnings = [...dump.warnings];
  const namelist = namelists[0] === undefined ? undefined : attach(namelists[0], dump, warnings, sources);
  const session = new Session({
    kernel: dump.kernel,
    dump,
    commands,
    namelist,
    saveFile: (to) => saveFile(to),
  });
  const own = dump.format === 'live' ? dump.kernel.tasks.find(({ pid }) => pid === process.pid) : undefined;
  if (own !== undefined) session.task = own;
  return {
    session,
    warnings,
    close: () => {
      namelist?.close();
      dump.close();
    },
  };
}

/** A vmlinux is for source lines alone: one that is of no use is a warning, and the dump is read without it. */
function attach(
  path: string,
  { vmcoreinfo, paths: [dump] }: Dump,
  warnings: string[],
  sources: string | undefined,
): (Namelist & { close(): void }) | undefined {
  try {
    return openNamelist(path, vmcoreinfo, dump!, sources);
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    warnings.push(`${error.message}; going on without it`);
    return undefined;
  }
}
