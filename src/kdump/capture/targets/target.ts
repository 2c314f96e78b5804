import type { DumpStream } from './dump-stream.ts';

/**
 * A place for one dump, while the capture uses it. A dump is a directory of small files and the dump itself; what is not
 * whole yet says so by its name. Every call ends within a bound of its own, or throws.
 */
export type Target = {
  /** As a reader knows it. */
  readonly name: string;
  /** Waits for it, mounts it, logs in. May be called again. */
  reach(): void;
  /**
   * Makes the directory of a dump, numbered when there is one of that name already.
   * @param parent absolute, seen from the target's root
   * @returns the directory, seen from there
   */
  makeDirectory(parent: string, name: string): string;
  /** Takes up the directory that an earlier run of the capture has made. */
  resume(directory: string): void;
  /** Bytes there; null when it does not say. */
  space(): Space | null;
  /** Writes a small file, durably: its name stands for the whole content. A file of that name is replaced. */
  writeFile(name: string, content: string | Uint8Array): void;
  /** Begins the dump, under a name that says that it is not whole. */
  openDump(): DumpOutput;
  /** Throws when what was written of it so far cannot get there any more. */
  checkDump(): void;
  /** Ends it: synced, its size checked, renamed. */
  finishDump(): FinishedDump;
  /** Holds some room, so that the account can be written when the dump has filled the target. */
  holdRoom(): void;
  /** Frees the room that was held for what comes last, and drops what is worth nothing. */
  makeRoom(): void;
  /** Bytes of each file in the directory. */
  files(): Record<string, number>;
  /** Path of a file of the dump on this machine; null when it is elsewhere. */
  pathOf(name: string): string | null;
  /** Directory of this machine in which the dumps of the target lie; null when they are elsewhere. */
  readonly localDirectory: string | null;
  /** @param failed it may not answer any more */
  leave(failed: boolean): void;
};

export type Space = { readonly free: number; readonly total: number };

/** Where a collector writes. */
export type DumpOutput =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stream'; readonly stream: DumpStream };

export type FinishedDump = {
  /** Name of its file; null where there are none. */
  readonly file: string | null;
  readonly bytes: number;
  /** Of these bytes, hexadecimal; null when that is still to be computed, from the file. */
  readonly sha256: string | null;
};
