import type { Doors } from '../../kexec/apply.ts';
import type { ReadFacts } from '../../kexec/arm.ts';
import type { FileLock } from '../../system/file-lock.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import type { SavedDump } from '../dumps/saved-dump.ts';
import type { Input, Saves } from './state.ts';

export type FoundDump = Pick<
  SavedDump,
  'directory' | 'elsewhere' | 'state' | 'time' | 'panic' | 'summary' | 'report'
>;

/** A capture image that is ready to be loaded. */
export type CaptureImage = {
  readonly path: string;
  /** Stands for the content of everything that it was made of. */
  readonly hash: string;
  /** The kernel whose modules are in it. */
  readonly release: string;
  /** It was there already. */
  readonly reused: boolean;
  readonly inputs: readonly Input[];
  readonly bytes: number;
  /** In memory; null when nobody knows. */
  readonly unpackedBytes: number | null;
  /** What is in it, unpacked; none when it is not of our own builder. */
  readonly items: readonly { readonly path: string; readonly bytes: number; readonly storedIn: string }[];
  readonly warnings: readonly string[];
};

/** What the service's verbs need of the machine and of the other parts; tests put their own in its place. */
export type ServiceDoors = {
  /** Below it lie /proc, /sys, /boot and /etc. */
  readonly root: string;
  /** Where the service keeps what it remembers, and where the last good load is kept. */
  readonly directory: string;
  readonly lastGood: string;
  readonly kexec: Doors;
  readonly readFacts: ReadFacts;
  prepareImage(
    settings: EffectiveSettings,
    options: { readonly release: string; readonly rebuild: EffectiveSettings['rebuild'] },
  ): CaptureImage;
  /** Of the files that an image was made of, those that are different now, or gone. */
  changedInputs(inputs: readonly Input[]): readonly string[];
  /** Dumps of this machine that can be seen without mounting anything, each once, the oldest first. */
  findDumps(saves: readonly Saves[]): readonly FoundDump[];
  /** Saves what a raw partition holds as a file; its path, or null when it holds no dump. */
  recoverRaw(device: string, directory: string): string | null;
  /** Gives directories the labels of SELinux's policy; does nothing where there is none. */
  relabel(directories: readonly string[]): void;
  /** Adds a report of the crash to a dump that was saved without. */
  addReport(directory: string): void;
  now(): Date;
  /** @throws KdumpError `locked` */
  lock(): FileLock;
};

/** Runs one change of what is armed at a time. */
export function locked<T>(doors: ServiceDoors, change: () => T): T {
  const lock = doors.lock();
  try {
    return change();
  } finally {
    lock.release();
  }
}
