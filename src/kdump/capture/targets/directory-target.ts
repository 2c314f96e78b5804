import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../../lib/errors.ts';
import { finishDurably, incompleteName, syncDirectory, writeFileDurably } from '../../../system/durable.ts';
import { giveUpReserve } from '../../dumps/reserve.ts';
import type { DumpOutput, FinishedDump, Space, Target } from './target.ts';

/** How a file system comes to be mounted, and goes again. */
export type Mounting = {
  readonly name: string;
  /** Where it is mounted. */
  readonly mountPoint: string;
  /** It is on another machine, which may go. */
  readonly isRemote?: boolean;
  reach(): void;
  leave(failed: boolean): void;
};

/** Space held until the end, so that the account can be written to a disk that the dump has filled. */
const reserveName = 'reserve-incomplete';
const reserveBytes = 1 << 20;
const dumpName = 'vmcore';
const mostOfOneName = 100;

/** A directory on a mounted file system, of whatever kind it is. */
export class DirectoryTarget implements Target {
  readonly name: string;
  readonly #mounting: Mounting;
  /** The dump's own. */
  #directory: string | undefined;
  /** The dump, for checkDump(). */
  #watched: number | undefined;

  constructor(mounting: Mounting) {
    this.name = mounting.name;
    this.#mounting = mounting;
  }

  reach(): void {
    this.#mounting.reach();
  }

  makeDirectory(parentOnTarget: string, name: string): string {
    const { mountPoint } = this.#mounting;
    const parent = join(mountPoint, parentOnTarget);
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    // An absolute link on the target would lead into the capture kernel's own memory.
    if (statSync(parent).dev !== statSync(mountPoint).dev)
      throw new KdumpError(
        'path-leaves-target',
        `${parentOnTarget} is not on ${this.name}: a link leads out of it`,
        { fix: 'Name the directory itself with path.' },
      );
    const directory = withReserve(parent, () => makeNumbered(join(parent, name)));
    syncDirectory(parent);
    this.#directory = directory;
    return directory.slice(mountPoint.length);
  }

  resume(directory: string): void {
    const path = join(this.#mounting.mountPoint, directory);
    if (!existsSync(path))
      throw new KdumpError('directory-gone', `${directory} is not on ${this.name} any more`);
    this.#directory = path;
  }

  space(): Space {
    const { bavail, blocks, bsize } = statfsSync(this.#mounting.mountPoint);
    return { free: bavail * bsize, total: blocks * bsize };
  }

  writeFile(name: string, content: string | Uint8Array): void {
    const path = this.pathOf(name);
    withReserve(dirname(dirname(path)), () => writeFileDurably(path, content));
  }

  openDump(): DumpOutput {
    return { kind: 'file', path: incompleteName(this.pathOf(dumpName)) };
  }

  checkDump(): void {
    // A disk says at once what it cannot write. A server that is gone is noticed when the cache is written to it, and until
    // then writes go on and on.
    const path = incompleteName(this.pathOf(dumpName));
    if (this.#mounting.isRemote !== true || !existsSync(path)) return;
    this.#watched ??= openSync(path, 'r');
    fsyncSync(this.#watched);
  }

  finishDump(): FinishedDump {
    this.#endWatch();
    const path = this.pathOf(dumpName);
    finishDurably(incompleteName(path), path);
    return { file: dumpName, bytes: statSync(path).size, sha256: null };
  }

  holdRoom(): void {
    writeFileDurably(this.pathOf(reserveName), new Uint8Array(reserveBytes));
  }

  makeRoom(): void {
    try {
      this.#endWatch();
      rmSync(this.pathOf(reserveName), { force: true });
    } catch {
      // A target that does not even remove a file has other troubles, which are told.
    }
  }

  files(): Record<string, number> {
    const names = readdirSync(this.pathOf('.')).filter((name) => name !== reserveName);
    return Object.fromEntries(names.sort().map((name) => [name, statSync(this.pathOf(name)).size]));
  }

  get localDirectory(): string | null {
    return this.#directory === undefined ? null : dirname(this.#directory);
  }

  leave(failed: boolean): void {
    this.#mounting.leave(failed);
  }

  #endWatch(): void {
    if (this.#watched === undefined) return;
    const fd = this.#watched;
    this.#watched = undefined;
    closeSync(fd);
  }

  pathOf(name: string): string {
    if (this.#directory === undefined)
      throw new KdumpError('internal', `${this.name}: there is no directory for ${name}`);
    return join(this.#directory, name);
  }
}

/** On a full disk there may be room that was kept for this. */
function withReserve<T>(parent: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC' || !giveUpReserve(parent)) throw error;
    return action();
  }
}

function makeNumbered(path: string): string {
  for (let attempt = 1; ; attempt++) {
    const directory = attempt === 1 ? path : `${path}-${attempt}`;
    try {
      mkdirSync(directory, { mode: 0o700 });
      return directory;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === mostOfOneName) throw error;
    }
  }
}
