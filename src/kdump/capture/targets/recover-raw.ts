import { closeSync, constants, fsyncSync, mkdirSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { extractDmesg } from '../../../dump/dmesg.ts';
import { openFileSink } from '../../../dump/output/file-sink.ts';
import { openFlattenedStream, rearrange } from '../../../dump/rearrange.ts';
import { flattenedHeaderSize } from '../../../formats/flattened.ts';
import { type RawMark, readRawMark } from '../../../formats/raw-dump.ts';
import { KdumpError } from '../../../lib/errors.ts';
import {
  finishDurably,
  incompleteName,
  syncDirectory,
  writeAll,
  writeFileDurably,
} from '../../../system/durable.ts';
import { findPanicLine } from '../report.ts';
import { isTestId, testDirectoryName, testStatus, testStatusName } from '../test-handshake.ts';

export type RecoveredDump = {
  readonly directory: string;
  readonly state: 'complete' | 'incomplete';
  readonly bytes: number;
};

/** What may end the reading of a stream that was cut short; what came before is kept. */
const cutShort: readonly string[] = ['truncated', 'bad-record'];

/**
 * Makes a directory of a dump that the capture has written to a bare device, then clears the device's beginning, so that
 * the same dump is not found again.
 * @param directory where dumps are kept; the dump gets a directory in it
 * @returns null when there is no dump on the device
 * @throws KdumpError or a system error when the dump cannot be saved; it stays on the device then
 */
export function recoverRaw(device: string, directory: string, now: Date = new Date()): RecoveredDump | null {
  const fd = openSync(device, constants.O_RDWR);
  try {
    const start = Buffer.alloc(flattenedHeaderSize);
    const found = readRawMark(start.subarray(0, readSync(fd, start, 0, start.length, 0)));
    if (found === undefined) return null;
    const { mark } = found;
    const place = makeDirectory(directory, mark, now);
    let recovered: RecoveredDump;
    try {
      recovered = save(fd, device, place, mark, now);
      syncDirectory(directory);
    } catch (error) {
      rmSync(place, { recursive: true, force: true });
      throw error;
    }
    writeAll(fd, Buffer.alloc(flattenedHeaderSize), 0);
    fsyncSync(fd);
    return recovered;
  } finally {
    closeSync(fd);
  }
}

function makeDirectory(parent: string, mark: RawMark | undefined, now: Date): string {
  const testId = testIdOf(mark);
  const name = testId === null ? nameOf(mark, now) : testDirectoryName(testId);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  for (let attempt = 1; ; attempt++) {
    const place = join(parent, `${name}${attempt === 1 ? '' : `-${attempt}`}`);
    try {
      mkdirSync(place, { mode: 0o700 });
      return place;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === 100) throw error;
    }
  }
}

/** HOST-YYYY-MM-DD-HH:MM:SS. What stands on the device does not lead out of the directory. */
function nameOf(mark: RawMark | undefined, now: Date): string {
  const stamp = (mark?.crashTime ?? now.toISOString()).slice(0, 19).replace('T', '-');
  const host = (mark?.host ?? 'raw').replace(/[^\w.:%+-]/g, '_').replace(/^\.+/, '_');
  return `${host}-${/^[\d:-]+$/.test(stamp) ? stamp : 'unknown'}`;
}

const testIdOf = (mark: RawMark | undefined): string | null => (isTestId(mark?.testId) ? mark.testId : null);

function save(
  fd: number,
  device: string,
  place: string,
  mark: RawMark | undefined,
  now: Date,
): RecoveredDump {
  const vmcore = join(place, 'vmcore');
  const incomplete = incompleteName(vmcore);
  const error = reassemble(fd, device, incomplete, mark?.bytes ?? Number.POSITIVE_INFINITY);
  const whole = error === undefined && mark?.state !== 'incomplete';
  if (whole) finishDurably(incomplete, vmcore);
  const path = whole ? vmcore : incomplete;
  const dmesg = saveDmesg(path, place);
  const bytes = statSync(path).size;
  const state = whole ? 'complete' : 'incomplete';
  const testId = testIdOf(mark);
  const report = {
    format: 1,
    state,
    testId,
    host: mark?.host ?? null,
    crashTime: mark?.crashTime ?? null,
    kernelRelease: mark?.kernelRelease ?? null,
    panic: mark?.panic ?? findPanicLine(dmesg),
    recoveredFrom: device,
    recoveredAt: now.toISOString(),
    files: { [whole ? 'vmcore' : 'vmcore-incomplete']: bytes },
    errors: error === undefined ? [] : [{ step: 'recover', code: error.code, message: error.message }],
  };
  writeFileDurably(join(place, 'dump.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  if (testId !== null)
    writeFileDurably(join(place, testStatusName), testStatus(whole ? 'success' : 'fail', testId));
  return { directory: place, state, bytes };
}

/** @returns why the stream ended early */
function reassemble(fd: number, device: string, path: string, bytes: number): KdumpError | undefined {
  let at = 0;
  const stream = openFlattenedStream((target) => {
    const wanted = Math.min(target.length, bytes - at);
    const got = wanted > 0 ? readSync(fd, target, 0, wanted, at) : 0;
    at += got;
    return got;
  }, device);
  const sink = openFileSink(path, { overwrite: false });
  try {
    rearrange(stream, sink);
    return undefined;
  } catch (error) {
    if (error instanceof KdumpError && cutShort.includes(error.code)) return error;
    throw error;
  } finally {
    sink.close();
  }
}

/** The log is in the dump, as long as the dump can be read. */
function saveDmesg(path: string, place: string): string {
  try {
    const text = Buffer.from(extractDmesg(path), 'latin1');
    writeFileDurably(join(place, 'vmcore-dmesg.txt'), text);
    return text.toString();
  } catch (error) {
    if (error instanceof KdumpError) return '';
    throw error;
  }
}
