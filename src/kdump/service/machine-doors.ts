import { join } from 'node:path';
import { machineDoors } from '../../kexec/apply.ts';
import { lastGoodDirectory } from '../../kexec/last-good.ts';
import { readLoadFacts } from '../../kexec/load-facts.ts';
import { readMachine } from '../../kexec/machine.ts';
import { lockFile } from '../../system/file-lock.ts';
import { hasSelinux, relabel } from '../../system/selinux.ts';
import { recoverRaw } from '../capture/targets/recover-raw.ts';
import { addReport } from '../dumps/add-report.ts';
import { listAllDumps } from '../dumps/list.ts';
import { allDumpPlaces } from '../dumps/places.ts';
import { inputsChangedSince } from '../image/inputs.ts';
import { prepareImage } from '../image/prepare.ts';
import type { ServiceDoors } from './doors.ts';
import { namesOf, readState, stateDirectory } from './state.ts';

/** Only root may write there. */
const lockPath = '/run/kdump-tools.lock';
/** Seconds: an image of dracut's takes minutes on a slow machine. */
const lockBound = 300;

/**
 * The doors to this machine.
 * @param root directory that stands in for / where something is only looked at
 */
export function machineServiceDoors(root = '/'): ServiceDoors {
  const directory = join(root, stateDirectory);
  return {
    root,
    directory,
    lastGood: join(root, lastGoodDirectory),
    kexec: { ...machineDoors, readMachine: () => readMachine(root) },
    readFacts: (kernel, initrd, request) => readLoadFacts(root, kernel, initrd, request),
    prepareImage: (settings, options) => prepareImage(settings, { ...options, keep: armedImage(directory) }),
    changedInputs: inputsChangedSince,
    findDumps: (saves) => listAllDumps(allDumpPlaces(saves, root), namesOf(saves)),
    recoverRaw: (device, path) => recoverRaw(device, path)?.directory ?? null,
    relabel: (directories) => {
      if (hasSelinux(root)) relabel(directories);
    },
    addReport,
    now: () => new Date(),
    lock: () => lockFile(lockPath, lockBound),
  };
}

/** What is armed must not be pruned. */
function armedImage(directory: string): string[] {
  try {
    const { armed } = readState(directory);
    return armed === null ? [] : [armed.image.path];
  } catch {
    return [];
  }
}
