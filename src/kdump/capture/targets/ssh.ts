import { closeSync } from 'node:fs';
import { openByteStream } from '../../../dump/output/byte-stream.ts';
import { KdumpError } from '../../../lib/errors.ts';
import type { Beside } from '../../../system/beside.ts';
import type { SshTarget as SshSettings } from '../config.ts';
import type { Ended } from '../run-bounded.ts';
import { countedStream, type DumpStream } from './dump-stream.ts';
import { keepTrying } from './keep-trying.ts';
import type { Place } from './place.ts';
import { remoteCommand, sshArguments } from './ssh-command.ts';
import type { DumpOutput, FinishedDump, Space, Target } from './target.ts';

/** Seconds for one request that is not the dump; ssh itself gives up a silent server after 15 + 3 × 10. */
const requestBound = 90;
/** A server may take long to have all of a large dump on its disk. One that is gone ends ssh much sooner. */
const settleBound = 3600;
/** Between two signs of life of a wait. */
const slice = 60;
/** What ssh ends with when it is at fault itself, and not what runs on the other side. */
const sshFailed = 255;
/** It says so by itself when the account is at fault, and then trying again is of no use. */
const refusal = /Permission denied|Host key verification failed|REMOTE HOST IDENTIFICATION/;
const incompleteName = 'vmcore-incomplete';

/** Another machine, reached by ssh. */
export class SshTarget implements Target {
  readonly name: string;
  readonly localDirectory = null;
  readonly #place: Place;
  readonly #settings: SshSettings;
  readonly #patience: number;
  /** Of a flattened stream vmcore.flat, of a plain one vmcore. */
  readonly #dumpName: string;
  readonly #files: Record<string, number> = {};
  #directory = '';
  #space: Space | null = null;
  #sending: { process: Beside; stream: DumpStream } | undefined;

  /** @param patience seconds that the server may take nothing */
  constructor(place: Place, settings: SshSettings, flattened: boolean, patience: number) {
    this.#place = place;
    this.#settings = settings;
    this.#patience = patience;
    this.#dumpName = flattened ? 'vmcore.flat' : 'vmcore';
    this.name = `${settings.user}@${settings.host}`;
  }

  reach(): void {
    keepTrying(
      this.#place,
      () => this.#request(['hello']),
      ({ code, message, facts: { status } }) =>
        code === 'timed-out' || (status === sshFailed && !refusal.test(message)),
    );
    this.#place.say(`logged in as ${this.name}`);
  }

  makeDirectory(parent: string, name: string): string {
    const { said } = this.#request(['begin', parent, name]);
    const directory = /^kdump-receive directory (\S+)$/m.exec(said)?.[1];
    if (directory === undefined)
      throw new KdumpError('ssh', `${this.name} did not say which directory it made: ${said.trim()}`);
    const [, total, , free] = /^kdump-receive space (.*)$/m.exec(said)?.[1]?.trim().split(/\s+/) ?? [];
    const isNumber = (word: string | undefined): boolean => word !== undefined && /^\d+$/.test(word);
    this.#space =
      isNumber(free) && isNumber(total) ? { free: Number(free) * 1024, total: Number(total) * 1024 } : null;
    this.#directory = directory;
    return directory;
  }

  resume(directory: string): void {
    this.#directory = directory;
  }

  space(): Space | null {
    return this.#space;
  }

  writeFile(name: string, content: string | Uint8Array): void {
    const bytes = Buffer.from(content as Uint8Array);
    this.#request(['put', this.#directory, name, String(bytes.length)], bytes);
    this.#files[name] = bytes.length;
  }

  openDump(): DumpOutput {
    const process = this.#feed(['stream', this.#directory, incompleteName]);
    const send = openByteStream(process.stdin!, this.name, this.#patience);
    const stream = countedStream((pieces) => {
      try {
        send(pieces);
      } catch (error) {
        throw this.#explain(process, error);
      }
    });
    this.#sending = { process, stream };
    return { kind: 'stream', stream };
  }

  finishDump(): FinishedDump {
    const { process, stream } = this.#sending!;
    this.#sending = undefined;
    this.#end(process, this.#patience, 'take the end of the dump');
    const { bytes } = stream;
    const words = ['finish', this.#directory, incompleteName, this.#dumpName, String(bytes)];
    this.#end(this.#feed(words), settleBound, 'make the dump durable');
    this.#files[this.#dumpName] = bytes;
    return { file: this.#dumpName, bytes, sha256: stream.sha256() };
  }

  /** ssh ends when the server is gone, and the stream tells. */
  checkDump(): void {}

  holdRoom(): void {}

  makeRoom(): void {
    const { process, stream } = this.#sending ?? {};
    if (process === undefined || stream === undefined) return;
    // What has come stays there, under its incomplete name; its end lets the other side close the file.
    this.#sending = undefined;
    closeSync(process.stdin!);
    process.wait(1);
    process.kill();
    process.close();
    this.#files[incompleteName] = stream.bytes;
  }

  files(): Record<string, number> {
    return { ...this.#files };
  }

  pathOf(): null {
    return null;
  }

  leave(): void {
    this.makeRoom();
  }

  #arguments(): string[] {
    return sshArguments(this.#settings, this.#place.config.ssh!);
  }

  #request(words: readonly string[], input?: Uint8Array): Ended {
    const { machine } = this.#place;
    machine.promise(2 * requestBound);
    const ended = machine.run('ssh', [...this.#arguments(), remoteCommand(words)], requestBound, input);
    if (ended.status !== 0) throw failed(this.name, ended.status, ended.said);
    return ended;
  }

  #feed(words: readonly string[]): Beside {
    return this.#place.machine.feed('ssh', [...this.#arguments(), remoteCommand(words)]);
  }

  /** Says that no more follows, and waits until the other side has ended well. */
  #end(process: Beside, seconds: number, what: string): void {
    closeSync(process.stdin!);
    let status: number | undefined;
    for (let waited = 0; status === undefined && waited < seconds; waited += slice) {
      this.#place.machine.promise(2 * slice);
      status = process.wait(Math.min(slice, seconds - waited));
    }
    const said = process.said();
    process.kill();
    process.close();
    if (status === undefined)
      throw new KdumpError('stalled', `${this.name} did not ${what} within ${seconds} s`);
    if (status !== 0) throw failed(this.name, status, said);
  }

  /** A pipe only says that its reader has gone; ssh says why. */
  #explain(process: Beside, error: unknown): unknown {
    const status = process.wait(2);
    return status === undefined || status === 0 ? error : failed(this.name, status, process.said());
  }
}

function failed(name: string, status: number, said: string): KdumpError {
  const words = said.trim().split('\n').slice(-3).join('; ');
  const fix = refusal.test(words)
    ? 'Let the machine be known there, and the other one here: kdumpctl propagate.'
    : undefined;
  return new KdumpError('ssh', `${name}: ${words || `ssh ended with status ${status}`}`, {
    ...(fix === undefined ? {} : { fix }),
    facts: { status },
  });
}
