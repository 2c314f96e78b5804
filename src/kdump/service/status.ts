import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { withoutParameters } from '../../kexec/command-line.ts';
import type { MachineFacts } from '../../kexec/machine.ts';
import { KdumpError } from '../../lib/errors.ts';
import { fileDigest } from '../../system/file-digest.ts';
import { testParameter } from '../capture/test-handshake.ts';
import { isError } from '../config/finding.ts';
import type { ReadSettings } from '../config/settings.ts';
import { describeTarget } from '../config/target.ts';
import { captureCommandLine, readCommandLineFacts } from './command-line.ts';
import type { ServiceDoors } from './doors.ts';
import { whyNotFeasible } from './feasible.ts';
import { type CrashRecord, emptyState, readState, type ServiceState, untestedSince } from './state.ts';

/** One thing that has to be right for the next crash to be saved: how it is. */
export type StatusItem = {
  readonly name: string;
  /** fail: the crash will not be saved as desired; warn: it may not be; unknown: nobody can tell. */
  readonly state: 'ok' | 'warn' | 'fail' | 'unknown';
  readonly actual: string;
  readonly fix?: string;
};

export type Status = {
  /** A crash kernel is loaded. */
  readonly operational: boolean;
  readonly items: readonly StatusItem[];
  readonly untestedSince: string | null;
  readonly lastCrash: CrashRecord | null;
};

/** Everything that a status is made of. */
export type StatusFacts = {
  readonly read: ReadSettings;
  readonly machine: MachineFacts;
  readonly state: ServiceState;
  /** Why there is no record of what is armed, when it cannot be read. */
  readonly stateProblem: string | null;
  /** Whether systemd starts kdump.service at boot; null where there is no systemd. */
  readonly unitEnabled: boolean | null;
  /** Files that are not what they were when the machine was armed, and other differences, as ends of a sentence. */
  readonly changed: readonly string[];
  readonly imageIsThere: boolean;
};

/** Reads what a status is made of; takes no lock, and changes nothing. */
export function readStatusFacts(read: ReadSettings, doors: ServiceDoors): StatusFacts {
  let state = emptyState;
  let stateProblem: string | null = null;
  try {
    state = readState(doors.directory);
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    stateProblem = error.message;
  }
  const { armed } = state;
  return {
    read,
    machine: doors.kexec.readMachine(),
    state,
    stateProblem,
    unitEnabled: isUnitEnabled(doors.root),
    changed: armed === null ? [] : changedSince(armed, read, doors),
    imageIsThere: armed !== null && existsSync(join(doors.root, armed.image.path)),
  };
}

function changedSince(
  { kernel, inputs, commandLine }: NonNullable<ServiceState['armed']>,
  { settings }: ReadSettings,
  doors: ServiceDoors,
): string[] {
  const kernelFile = join(doors.root, kernel.path);
  const sameKernel = existsSync(kernelFile) && fileDigest(kernelFile) === kernel.sha256;
  const facts = readCommandLineFacts(doors.root);
  const plain = (line: string): string => withoutParameters(line, [testParameter]);
  const sameLine =
    facts.running === null ||
    plain(commandLine) === plain(captureCommandLine(settings.commandLine, settings.builder, facts));
  return [
    ...(sameKernel ? [] : [kernel.path]),
    ...doors.changedInputs(inputs),
    ...(sameLine ? [] : ['the command line of the capture kernel']),
  ];
}

/** Whether systemd starts the service at boot; null where there is no systemd. */
export function isUnitEnabled(root: string): boolean | null {
  if (!existsSync(join(root, 'run/systemd/system'))) return null;
  const link = 'etc/systemd/system/multi-user.target.wants/kdump.service';
  return lstatSync(join(root, link), { throwIfNoEntry: false }) !== undefined;
}

/** Compares what is with what is to be. Pure. */
export function judgeStatus(facts: StatusFacts): Status {
  const { machine, state } = facts;
  const operational = machine.loaded.crash === true;
  const { lastCrash } = state;
  return {
    operational,
    items: [
      enabledItem(facts),
      settingsItem(facts),
      memoryItem(facts),
      loadedItem(facts),
      ...(operational ? [imageItem(facts), inputsItem(facts)] : []),
      ...targetItems(facts),
      testItem(facts),
    ],
    untestedSince: untestedSince(state),
    lastCrash: lastCrash !== null && lastCrash.bootId === machine.bootId ? lastCrash : null,
  };
}

const item = (name: string, state: StatusItem['state'], actual: string, fix?: string): StatusItem => ({
  name,
  state,
  actual,
  ...(fix === undefined ? {} : { fix }),
});

function enabledItem({ read, unitEnabled }: StatusFacts): StatusItem {
  const name = 'enabled';
  if (!read.settings.enabled)
    return item(name, 'fail', 'no: USE_KDUMP=0', 'Take it out of /etc/default/kdump-tools.');
  if (unitEnabled === null) return item(name, 'unknown', 'systemd does not run here');
  return unitEnabled
    ? item(name, 'ok', 'kdump.service is started at boot')
    : item(name, 'warn', 'not at the next boot', 'systemctl enable kdump.service');
}

function settingsItem({ read }: StatusFacts): StatusItem {
  const errors = read.findings.filter(isError).length;
  const fix = 'kdumpctl config check';
  if (errors > 0) return item('settings', 'fail', `${errors} ${errors === 1 ? 'error' : 'errors'}`, fix);
  const warnings = read.findings.length;
  return warnings === 0
    ? item('settings', 'ok', 'no errors')
    : item('settings', 'ok', `no errors, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`);
}

function memoryItem({ machine }: StatusFacts): StatusItem {
  const obstacle = whyNotFeasible(machine);
  if (obstacle !== null) return item('reserved memory', 'fail', obstacle.message, obstacle.fix);
  return item('reserved memory', 'ok', mebibytes(machine.crash.size ?? 0));
}

function loadedItem({ machine, state }: StatusFacts): StatusItem {
  const name = 'capture kernel';
  if (whyNotFeasible(machine) !== null) return item(name, 'fail', 'not loaded, since it has no memory');
  if (machine.loaded.crash !== true)
    return item(name, 'fail', 'not loaded', 'kdumpctl start loads it, or says why it cannot.');
  const { armed } = state;
  return armed === null || armed.bootId !== machine.bootId
    ? item(name, 'ok', 'loaded')
    : item(name, 'ok', `${armed.kernel.release}, loaded at ${spoken(armed.at)}`);
}

function imageItem({ machine, state, stateProblem, imageIsThere }: StatusFacts): StatusItem {
  const name = 'capture image';
  if (stateProblem !== null) return item(name, 'unknown', stateProblem);
  const { armed } = state;
  if (armed === null || armed.bootId !== machine.bootId)
    return item(name, 'unknown', 'what is loaded was not loaded by kdumpctl', 'kdumpctl restart');
  const { path, bytes } = armed.image;
  return imageIsThere
    ? item(name, 'ok', `${path}, ${mebibytes(bytes)}`)
    : item(name, 'warn', `loaded, but ${path} is gone`, 'kdumpctl restart builds it anew.');
}

const mostNamed = 5;

function inputsItem({ state, stateProblem, changed }: StatusFacts): StatusItem {
  const name = 'inputs';
  if (stateProblem !== null || state.armed === null) return item(name, 'unknown', 'not known');
  if (changed.length === 0) return item(name, 'ok', 'unchanged since the machine was armed');
  const more = changed.length > mostNamed ? ` and ${changed.length - mostNamed} more` : '';
  return item(
    name,
    'warn',
    `changed since: ${changed.slice(0, mostNamed).join(', ')}${more}`,
    'kdumpctl restart',
  );
}

function targetItems({ read, state }: StatusFacts): StatusItem[] {
  return read.settings.targets.map((target) => {
    const described = describeTarget(target);
    const name = `target ${described}`;
    const tried = state.targets.find((record) => record.target === described);
    if (tried === undefined) return item(name, 'unknown', 'not tried yet', 'kdumpctl target test');
    return tried.reachable
      ? item(name, 'ok', `written at ${spoken(tried.at)}`)
      : item(
          name,
          'fail',
          `could not be written at ${spoken(tried.at)}: ${tried.detail ?? 'no reason is known'}`,
          'kdumpctl target test',
        );
  });
}

function testItem({ machine, state }: StatusFacts): StatusItem {
  const name = 'test';
  const { test, armed } = state;
  // A machine that is not armed would only go down.
  const fix =
    machine.loaded.crash === true
      ? 'kdumpctl test crashes the machine and looks whether that is saved.'
      : undefined;
  const since = untestedSince(state);
  if (armed !== null && test !== null && test.setup === armed.setup && !test.passed)
    return item(name, 'fail', `failed at ${spoken(test.at)}: ${test.detail ?? 'no reason is known'}`, fix);
  if (since !== null)
    return item(
      name,
      'warn',
      `untested since ${spoken(since)}${test?.passed === true ? `; an earlier set-up passed at ${spoken(test.at)}` : ''}`,
      fix,
    );
  return test === null || armed === null
    ? item(name, 'unknown', 'none was made', fix)
    : item(name, 'ok', `passed at ${spoken(test.at)}${test.detail === null ? '' : `: ${test.detail}`}`);
}

/** A time as people read it; what is none stays as it is. */
export const spoken = (time: string): string =>
  time.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?Z$/, '$1 $2 UTC');

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
