import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { withoutParameters } from '../../kexec/command-line.ts';
import { KdumpError } from '../../lib/errors.ts';
import { writeAll, writeFileDurably } from '../../system/durable.ts';
import { testParameter } from '../capture/test-handshake.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { ownNames } from '../dumps/own-names.ts';
import type { SavedDump } from '../dumps/saved-dump.ts';

/** What the service remembers from one boot to the next, in one file that only root reads. */
export const stateDirectory = '/var/lib/kdump';
export const stateName = 'state.json';

/** A file that an image was made of. */
export type Input = { readonly path: string; readonly digest: string };

/** What was armed. */
export type ArmedRecord = {
  /** ISO 8601 in UTC. */
  readonly at: string;
  /** The boot in which it was armed. */
  readonly bootId: string | null;
  /** setupDigest() of it, and since when it has been armed with this one. */
  readonly setup: string;
  readonly since: string;
  readonly kernel: { readonly path: string; readonly release: string; readonly sha256: string };
  readonly image: {
    readonly path: string;
    readonly hash: string;
    readonly release: string;
    readonly bytes: number;
  };
  readonly kexecArgs: readonly string[];
  readonly commandLine: string;
  readonly inputs: readonly Input[];
  /** How it saves dumps; null: not known. */
  readonly saves: Saves | null;
};

/** Where a set-up saves dumps, and whether with a report. */
export type Saves = Pick<EffectiveSettings, 'targets' | 'path' | 'report'> & {
  /** Those of the machine when it was armed: a dump may have one that is given up by now. */
  readonly names?: readonly string[];
};

/** How a real crash of this machine went, made on purpose or not. */
export type TestRecord = {
  readonly at: string;
  /** The set-up that was armed then. */
  readonly setup: string;
  readonly passed: boolean;
  /** Where the dump is, or what went wrong. */
  readonly detail: string | null;
};

/** Whether a target could be written when it was tried last. */
export type TargetRecord = {
  readonly at: string;
  /** As describeTarget() says it. */
  readonly target: string;
  readonly reachable: boolean;
  readonly detail: string | null;
};

/** How the boot before ended, when that was not with a shutdown: what was found when the machine came up. */
export type CrashRecord = Pick<SavedDump, 'state' | 'panic' | 'summary'> & {
  /** The boot that found it. */
  readonly bootId: string | null;
  /** null: no dump was found, nobody knows what has happened and when. */
  readonly directory: string | null;
  readonly time: string | null;
  /** Why there is no whole dump, or where it was not looked for; null when there is nothing to say. */
  readonly why: string | null;
};

export type ServiceState = {
  readonly format: 1;
  readonly armed: ArmedRecord | null;
  readonly test: TestRecord | null;
  readonly targets: readonly TargetRecord[];
  readonly lastCrash: CrashRecord | null;
  /** In which boot dumps were looked for last, and the directories of those that were there. */
  readonly looked: { readonly bootId: string | null; readonly dumps: readonly string[] } | null;
  /** crashkernel= of the package's table for this machine, as the last update left it. */
  readonly defaultCrashkernel: string | null;
};

export const emptyState: ServiceState = {
  format: 1,
  armed: null,
  test: null,
  targets: [],
  lastCrash: null,
  looked: null,
  defaultCrashkernel: null,
};

/**
 * What is remembered; nothing when there is no record yet.
 * @throws KdumpError `bad-state` when the record is not one of ours, or cannot be read
 */
export function readState(directory: string): ServiceState {
  const path = join(directory, stateName);
  const bad = (why: string, cause?: unknown): KdumpError =>
    new KdumpError('bad-state', `${path}: ${why}`, {
      fix: 'kdumpctl restart writes it anew.',
      cause,
    });
  let state: ServiceState;
  try {
    state = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return emptyState;
    throw bad(cause instanceof SyntaxError ? 'is not JSON' : (cause as Error).message, cause);
  }
  if (state?.format !== 1 || !isArmed(state.armed) || !Array.isArray(state.targets))
    throw bad('is not a record of this service');
  // A record of an older version does not say where dumps are saved.
  const armed = state.armed === null ? null : { ...state.armed, saves: state.armed.saves ?? null };
  return { ...emptyState, ...state, armed };
}

/** Where what is armed, or was armed before a crash, saves dumps: the settings may say something else by now. */
export function savesOfArmed(directory: string): Saves[] {
  try {
    return [readState(directory).armed?.saves ?? []].flat();
  } catch (error) {
    if (error instanceof KdumpError) return [];
    throw error;
  }
}

/** All names that this machine's dumps may have. */
export const namesOf = (saves: readonly Saves[]): string[] => [
  ...ownNames(),
  ...saves.flatMap(({ names = [] }) => names),
];

const isArmed = (armed: ArmedRecord | null | undefined): boolean =>
  armed === null ||
  (typeof armed?.setup === 'string' &&
    typeof armed.kernel?.path === 'string' &&
    typeof armed.image?.path === 'string' &&
    typeof armed.commandLine === 'string' &&
    Array.isArray(armed.kexecArgs) &&
    Array.isArray(armed.inputs));

/** Changes what is remembered, durably. A record that cannot be read is written anew: the machine counts, not it. */
export function updateState(directory: string, change: Partial<ServiceState>): ServiceState {
  let before = emptyState;
  try {
    before = readState(directory);
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
  }
  const state: ServiceState = { ...before, ...change };
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  writeState(join(directory, stateName), `${JSON.stringify(state, undefined, 2)}\n`);
  return state;
}

/** The record has so much room, or several times that, so that it can be changed on a disk that is full. */
const roomOfState = 16 << 10;

function writeState(path: string, text: string): void {
  const bytes = Buffer.from(text);
  const padded = (size: number) => Buffer.concat([bytes, Buffer.alloc(size - bytes.length, '\n')]);
  try {
    writeFileDurably(path, padded(Math.ceil((bytes.length + roomOfState / 2) / roomOfState) * roomOfState));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC' || !existsSync(path)) throw error;
    const fd = openSync(path, 'r+');
    try {
      const { size } = fstatSync(fd);
      if (size < bytes.length) throw error;
      writeAll(fd, padded(size), 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** Keeps how a test went, for the set-up that is armed when it is made. */
export const recordTest = (directory: string, test: TestRecord): ServiceState =>
  updateState(directory, { test });

/** Keeps whether a target could be written; one record for each target. */
export function recordTarget(directory: string, record: TargetRecord): ServiceState {
  const others = readState(directory).targets.filter(({ target }) => target !== record.target);
  return updateState(directory, { targets: [...others, record] });
}

/** Names a set-up: two that have the same name capture a crash in the same way. */
export function setupDigest(kernelSha256: string, imageHash: string, commandLine: string): string {
  const parts = [kernelSha256, imageHash, withoutParameters(commandLine, [testParameter])];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Since when the machine has been armed with a set-up that no test has passed; null: it is tested, or not armed. */
export function untestedSince({ armed, test }: ServiceState): string | null {
  if (armed === null) return null;
  return test?.passed === true && test.setup === armed.setup ? null : armed.since;
}
