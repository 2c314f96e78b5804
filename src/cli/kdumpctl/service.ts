import { checkMachine } from '../../kdump/config/machine-checks.ts';
import { type ReadSettings, readSettings, throwForErrors } from '../../kdump/config/settings.ts';
import type { ServiceDoors } from '../../kdump/service/doors.ts';
import { describeCrash, findLastCrash, saveRaw } from '../../kdump/service/last-crash.ts';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { armDespite, type Started, type StartOptions, start } from '../../kdump/service/start.ts';
import {
  type CrashRecord,
  readState,
  type Saves,
  savesOfArmed,
  untestedSince,
} from '../../kdump/service/state.ts';
import { describeError } from '../../lib/errors.ts';

/** What start, restart and reload have in common, and how they and stop speak. */

export const say = (text: string): undefined => void process.stdout.write(`kdump: ${text}\n`);
export const warn = (text: string): undefined => void process.stderr.write(`kdump: warning: ${text}\n`);
export const printJson = (value: unknown): undefined =>
  void process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);

/**
 * Runs what a verb is about and says how it ended, in the originals' words.
 * @param what the deed, such as "Starting kdump"
 */
export function carryOut(what: string, json: boolean, deed: () => object): void {
  try {
    const result = deed();
    if (json) printJson(result);
    else say(`${what}: [OK]`);
  } catch (error) {
    if (json) printJson(error instanceof Error && 'toJSON' in error ? error : { message: String(error) });
    process.stderr.write(`kdump: ${describeError(error)}\nkdump: ${what}: [FAILED]\n`);
    process.exitCode = 1;
  }
}

/** Arms the machine, and says what an administrator wants to know of it. */
export function armMachine(json: boolean, options: StartOptions = {}): object {
  const doors = machineServiceDoors();
  const read = readSettings(doors.root);
  const { settings } = read;
  if (!settings.enabled) {
    if (!json) say('the machine is not armed: USE_KDUMP=0 in /etc/default/kdump-tools');
    return { outcome: 'disabled' };
  }
  const before = savesOfArmed(doors.directory);
  let started: Started;
  try {
    started = startChecked(read, doors, options);
  } catch (error) {
    // The last crash is worth knowing of, and its dump worth saving, whatever is wrong now.
    lookBack([settings, ...before], doors, json);
    throw error;
  }
  for (const warning of started.warnings) warn(warning);
  // After arming, since a dump that is saved from a partition takes its time.
  const past = lookBack([settings, ...before], doors, json);
  const since = untestedSince(readState(doors.directory));
  if (!json) tell(started, settings.testNotification ? since : null);
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

function tell({ outcome, why, armed, imageReused }: Started, untested: string | null): void {
  if (outcome === 'already-armed') say('Kdump already running, and nothing has changed');
  else {
    for (const reason of why) say(reason);
    say(`loaded ${armed.kernel.path} with ${armed.image.path}${imageReused ? '' : ', which was built'}`);
  }
  if (untested !== null)
    say(`untested since ${untested}: kdumpctl test crashes the machine and looks whether that is saved`);
}

/** Saves what the last crash has left on a raw partition, and says how the last boot ended if it was in a crash. */
function lookBack(
  saves: readonly Saves[],
  doors: ServiceDoors,
  json: boolean,
): { readonly recovered: readonly string[]; readonly lastCrash: CrashRecord | null } {
  const recovered = attempt('what a raw partition holds could not be saved', [], () => saveRaw(saves, doors));
  const lastCrash = attempt('dumps could not be looked for', null, () => findLastCrash(saves, doors));
  if (!json) {
    for (const path of recovered) say(`saved the dump of a raw partition: ${path}`);
    if (lastCrash !== null) say(describeCrash(lastCrash));
  }
  return { recovered, lastCrash };
}

/** What is good to have, but no reason not to be armed. */
function attempt<T>(what: string, otherwise: T, work: () => T): T {
  try {
    return work();
  } catch (error) {
    warn(`${what}: ${describeError(error)}`);
    return otherwise;
  }
}
