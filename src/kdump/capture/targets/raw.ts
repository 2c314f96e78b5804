import { closeSync, constants, fdatasyncSync, openSync, readSync, writevSync } from 'node:fs';
import {
  encodeRawMark,
  occupantOf,
  type RawMark,
  rawMarkOffset,
  signatureBytes,
} from '../../../formats/raw-dump.ts';
import { KdumpError } from '../../../lib/errors.ts';
import { writeAll } from '../../../system/durable.ts';
import type { DumpReport } from '../report.ts';
import { countedStream, type DumpStream } from './dump-stream.ts';
import type { Place } from './place.ts';
import type { DumpOutput, FinishedDump, Space, Target } from './target.ts';
import { waitForDevice } from './wait-for-device.ts';

/** So often is what was written made durable, and its length noted: a power cut costs no more than this. */
const bytesBetweenMarks = 64 << 20;

/** A bare partition: nothing fits there but the dump itself, and a few words about it. */
export class RawTarget implements Target {
  readonly name: string;
  readonly localDirectory = null;
  readonly #place: Place;
  #fd: number | undefined;
  #stream: DumpStream | undefined;
  #finished: FinishedDump | undefined;
  #about: Omit<RawMark, 'state' | 'bytes' | 'sha256'>;

  constructor(place: Place, device: string) {
    this.#place = place;
    this.name = device;
    const { host } = place.config;
    this.#about = { host, crashTime: null, kernelRelease: null, panic: null, testId: null };
  }

  /** @throws KdumpError `target-occupied` when there is anything that somebody may miss */
  reach(): void {
    if (this.#fd !== undefined) return;
    const path = waitForDevice(this.#place, this.name);
    const fd = openSync(path, constants.O_RDWR);
    const start = Buffer.alloc(signatureBytes);
    const occupant = occupantOf(start.subarray(0, readSync(fd, start, 0, start.length, 0)));
    if (occupant !== undefined) {
      closeSync(fd);
      throw new KdumpError('target-occupied', `${path} holds ${occupant}, which a raw dump would destroy`, {
        fix: `Name another partition, or clear this one: wipefs -a ${path}.`,
        facts: { device: path, occupant },
      });
    }
    this.#fd = fd;
  }

  makeDirectory(): string {
    return '';
  }

  resume(): void {}

  space(): Space | null {
    return null;
  }

  /** Of the report a few words are kept, for the one who finds the dump. */
  writeFile(name: string, content: string | Uint8Array): void {
    if (name !== 'dump.json') return;
    const { host, crashTime, kernelRelease, panic, testId } = JSON.parse(String(content)) as DumpReport;
    this.#about = { host, crashTime, kernelRelease, panic, testId };
    if (this.#finished !== undefined) this.#mark('complete', this.#finished.bytes, this.#finished.sha256);
  }

  openDump(): DumpOutput {
    const fd = this.#open();
    // An earlier dump is none any more, before the first byte of this one.
    writeAll(fd, Buffer.alloc(rawMarkOffset), 0);
    fdatasyncSync(fd);
    let at = 0;
    let marked = 0;
    const stream = countedStream((pieces) => {
      at = writeAt(fd, pieces, at);
      if (marked > 0 && at - marked < bytesBetweenMarks) return;
      this.#mark('incomplete', at, null);
      marked = at;
    });
    this.#stream = stream;
    return { kind: 'stream', stream };
  }

  finishDump(): FinishedDump {
    const finished = { file: null, bytes: this.#stream!.bytes, sha256: this.#stream!.sha256() };
    this.#mark('complete', finished.bytes, finished.sha256);
    this.#finished = finished;
    return finished;
  }

  checkDump(): void {}

  holdRoom(): void {}

  makeRoom(): void {}

  files(): Record<string, number> {
    return {};
  }

  pathOf(): null {
    return null;
  }

  leave(failed: boolean): void {
    if (this.#fd === undefined) return;
    try {
      if (failed && this.#stream !== undefined && this.#finished === undefined)
        this.#mark('incomplete', this.#stream.bytes, null);
    } finally {
      closeSync(this.#fd);
      this.#fd = undefined;
    }
  }

  /** What the mark speaks of is on the device before the mark is. */
  #mark(state: RawMark['state'], bytes: number, sha256: string | null): void {
    const fd = this.#open();
    fdatasyncSync(fd);
    writeAll(fd, encodeRawMark({ ...this.#about, state, bytes, sha256 }), rawMarkOffset);
    fdatasyncSync(fd);
  }

  #open(): number {
    if (this.#fd === undefined) throw new KdumpError('internal', `${this.name} is not open`);
    return this.#fd;
  }
}

/** @returns where the next byte goes */
function writeAt(fd: number, pieces: readonly Uint8Array[], offset: number): number {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const done = writevSync(fd, pieces, offset);
  if (done === length) return offset + length;
  // The device took a part: the rest in one piece.
  const rest = Buffer.concat(pieces).subarray(done);
  writeAll(fd, rest, offset + done);
  return offset + length;
}
