import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type DumpReport, findPanicLine } from '../capture/report.ts';
import { readNames } from './layouts.ts';
import type { DumpPlace } from './places.ts';
import { byTime, type SavedDump, withoutCopies } from './saved-dump.ts';

/** A dump.json is kilobytes; what is larger was not written by us. */
const largestReport = 4 << 20;
/** The line that names the cause of death stands at the end of the log. */
const readOfLog = 256 << 10;

/**
 * The dumps below a directory, oldest first: ours, which say in dump.json what they are, and those of kdump-utils and of
 * Debian's kdump-tools, of which only names and logs speak. What looks like no dump is left out; links are not followed;
 * a directory that does not exist, or cannot be read, holds none.
 */
export function listDumps(directory: string): SavedDump[] {
  return directoriesIn(directory)
    .map((name) => readDump(directory, name))
    .filter((dump) => dump !== undefined)
    .sort(byTime);
}

/**
 * The dumps of several places, each once, oldest first; without accounts of those that are themselves among them.
 * @param names of machines: dumps that say they are of another one are left out
 */
export function listAllDumps(
  places: readonly Pick<DumpPlace, 'directory'>[],
  names?: readonly string[],
): SavedDump[] {
  const directories = new Set(places.map(({ directory }) => directory).filter((path) => path !== null));
  const dumps = [...directories]
    .flatMap(listDumps)
    .filter(({ host }) => host === null || names === undefined || names.includes(host));
  return withoutCopies(dumps.sort(byTime));
}

function directoriesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

/** One dump; undefined when the directory is none, or is gone meanwhile. */
export function readDump(parent: string, name: string): SavedDump | undefined {
  const directory = join(parent, name);
  try {
    const stats = readdirSync(directory).map((file) => [file, lstatSync(join(directory, file))] as const);
    const files = Object.fromEntries(stats.map(([file, { size }]) => [file, size]));
    const bytes = stats.reduce((sum, [, { blocks }]) => sum + blocks * 512, 0);
    const report = 'dump.json' in files ? readReport(join(directory, 'dump.json')) : null;
    const named = readNames(name, Object.keys(files));
    if (report === null && named === undefined) return undefined;
    const vmcore = ['vmcore', 'vmcore.flat', 'vmcore-incomplete'].find((file) => file in files);
    const dmesg = 'vmcore-dmesg.txt' in files ? 'vmcore-dmesg.txt' : (named?.dmesg ?? null);
    const madeBy = report === null ? named!.madeBy : 'kdump-tools';
    const state = report?.state ?? named?.state ?? 'incomplete';
    const elsewhere = report?.copy === true ? findElsewhere(report) : null;
    return {
      name,
      directory,
      elsewhere,
      madeBy,
      // A report promises what somebody may have taken away since.
      state:
        state === 'complete' && vmcore === undefined && madeBy === 'kdump-tools' && elsewhere === null
          ? 'failed'
          : state,
      host: report?.host ?? named?.host ?? null,
      time: textTime(report?.crashTime) ?? named?.time ?? lstatSync(directory).mtime.toISOString(),
      kernelRelease: report?.kernelRelease ?? null,
      panic:
        report?.panic ?? (dmesg === null ? null : findPanicLine(readEnd(join(directory, dmesg), readOfLog))),
      summary: report?.summary ?? null,
      vmcore: vmcore ?? named?.vmcore ?? null,
      dmesg,
      files,
      bytes,
      report,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return undefined;
  }
}

/** Where the dump is that an account is about, which may be nowhere. */
function findElsewhere({ targets }: Partial<DumpReport>): SavedDump['elsewhere'] {
  if (!Array.isArray(targets)) return null;
  const found = targets.findLast((result) => typeof result?.directory === 'string');
  if (found === undefined || typeof found.target !== 'string') return null;
  const { target, directory, file, bytes } = found;
  return {
    place: `${target}:${directory}`,
    file: typeof file === 'string' ? file : null,
    bytes: typeof bytes === 'number' ? bytes : null,
  };
}

const textTime = (text: unknown): string | null =>
  typeof text === 'string' && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : null;

const states: readonly unknown[] = ['complete', 'incomplete', 'failed'];

/** What stands there need not be what we have written: only what has the form of a report counts as one. */
function readReport(path: string): Partial<DumpReport> | null {
  if (lstatSync(path).size > largestReport || !lstatSync(path).isFile()) return null;
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    const { state, host, panic, summary, kernelRelease } = value as Record<string, unknown>;
    const isText = (field: unknown): boolean => field == null || typeof field === 'string';
    return states.includes(state) && [host, panic, summary, kernelRelease].every(isText) ? value : null;
  } catch {
    return null;
  }
}

/** The last bytes of a text file, byte by byte as characters. @throws system errors of reading */
export function readEnd(path: string, most: number): string {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, most));
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, size - bytes.length));
  } finally {
    closeSync(fd);
  }
}
