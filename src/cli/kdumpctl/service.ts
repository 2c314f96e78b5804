import { checkMachine } from '../../kdump/config/machine-checks.ts';
import { type ReadSettings, readSettings, throwForErrors } from '../../kdump/config/settings.ts';
import type { ServiceDoors } from '../../kdump/service/doors.ts';
import {
  describeCrash,
  findLastCrash,
  labelDumps,
  lookForDumps,
  saveRaw,
} from '../../kdump/service/last-crash.ts';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { keepReserves } from '../../kdump/service/reserves.ts';
import { armDespite, type Started, type StartOptions, start } from '../../kdump/service/start.ts';
import {
  type CrashRecord,
  readState,
  type Saves,
  savesOfArmed,
  untestedSince,
} from '../../kdump/service/state.ts';
import { spoken } from '../../kdump/service/status.ts';
import { describeError } from '../../lib/errors.ts';
import { type Narrator, narrator } from './narrator.ts';

/** What start, restart and reload have in common; and how answers are given. */

export const say = (text: string): undefined => void process.stdout.write(`kdump: ${text}\n`);
export const warn = (text: string): undefined => void process.stderr.write(`kdump: warning: ${text}\n`);
export const printJson = (value: unknown): undefined =>
  void process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);

/**
 * Runs what a verb is about and says how it ended, in the originals' words.
 * @param what the deed, such as "Starting kdump"
 */
export function carryOut(what: string, json: boolean, deed: (tell: Narrator) => object): void {
  const { logLevels } = readSettings().settings;
  // Standard output is for the JSON then.
  const tell = narrator(json ? { ...logLevels, std: Math.min(logLevels.std, 2) } : logLevels);
  try {
    const result = deed(tell);
    if (json) printJson(result);
    tell.info(`${what}: [OK]`);
  } catch (error) {
    if (json) printJson(error instanceof Error && 'toJSON' in error ? error : { message: String(error) });
    tell.error(describeError(error));
    tell.error(`${what}: [FAILED]`);
    process.exitCode = 1;
  }
}

/** Arms the machine, and says what an administrator wants to know of it. */
export function armMachine(tell: Narrator, options: StartOptions = {}): object {
  const doors = machineServiceDoors();
  const read = readSettings(doors.root);
  const { settings } = read;
  if (!settings.enabled) {
    tell.info('the machine is not armed: USE_KDUMP=0 in /etc/default/kdump-tools');
    return { outcome: 'disabled' };
  }
  const before = savesOfArmed(doors.directory);
  let started: Started;
  try {
    started = startChecked(read, doors, options);
  } catch (error) {
    // The last crash is worth knowing of, and its dump worth saving, whatever is wrong now.
    lookBack([settings, ...before], doors, tell);
    throw error;
  }
  for (const warning of started.warnings) tell.warning(warning);
  // After arming, since a dump that is saved from a partition takes its time.
  const past = lookBack([settings, ...before], doors, tell);
  // Where min_free keeps dumps from filling a disk there is room, and what it leaves is not ours.
  const kept = settings.limits.minFree === null ? [settings] : [];
  for (const why of keepReserves(kept, before, doors.root))
    tell.warning(`if a disk is full when the machine crashes, nothing can be told there: ${why}`);
  const since = untestedSince(readState(doors.directory));
  tellStart(started, settings.testNotification ? since : null, tell);
  return { ...started, ...past, untestedSince: since };
}

/** @throws KdumpError `config-invalid`, and as start */
function startChecked(read: ReadSettings, doors: ServiceDoors, options: StartOptions): Started {
  try {
    throwForErrors([...read.findings, ...checkMachine(read.config, doors.root)]);
  } catch (error) {
    throw armDespite(error, doors);
  }
  return start(read.settings, doors, options);
}

function tellStart(
  { outcome, why, armed, imageReused }: Started,
  untested: string | null,
  tell: Narrator,
): void {
  if (outcome === 'already-armed') tell.info('Kdump already running, and nothing has changed');
  else {
    for (const reason of why) tell.info(reason);
    tell.info(
      `loaded ${armed.kernel.path} with ${armed.image.path}${imageReused ? '' : ', which was built'}`,
    );
  }
  if (untested !== null)
    tell.info(
      `untested since ${spoken(untested)}: kdumpctl test crashes the machine and looks whether that is saved`,
    );
}

/** Saves what the last crash has left on a raw partition, and says how the last boot ended if it was in a crash. */
function lookBack(
  saves: readonly Saves[],
  doors: ServiceDoors,
  tell: Narrator,
): { readonly recovered: readonly string[]; readonly lastCrash: CrashRecord | null } {
  const recovered = attempt(tell, 'what a raw partition holds could not be saved', [], () =>
    saveRaw(saves, doors),
  );
  const look = attempt(tell, 'dumps could not be looked for', null, () => lookForDumps(saves, doors));
  attempt(tell, 'SELinux labels of dumps could not be set', undefined, () => labelDumps(look, doors));
  const lastCrash = attempt(tell, 'the last crash could not be remembered', null, () =>
    findLastCrash(look, saves, doors),
  );
  for (const path of recovered) tell.info(`saved the dump of a raw partition: ${path}`);
  if (lastCrash !== null) tell.info(describeCrash(lastCrash));
  return { recovered, lastCrash };
}

/** What is good to have, but no reason not to be armed. */
function attempt<T>(tell: Narrator, what: string, otherwise: T, work: () => T): T {
  try {
    return work();
  } catch (error) {
    tell.warning(`${what}: ${describeError(error)}`);
    return otherwise;
  }
}
