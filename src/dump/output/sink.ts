/**
 * Where a dump is written: a file, a flattened stream, or nothing at all (a dry run). Offsets are those of the dump
 * file, whatever the sink makes of them.
 */
export type Sink = {
  /** For messages. */
  readonly path: string;
  /** Bytes that were written, of every kind. */
  readonly written: number;
  /** Whether bytes that were written can be written again: a stream cannot take anything back. */
  readonly rewritable: boolean;
  /**
   * Writes all of `bytes` at `offset`, or as much as there is room for.
   * @returns bytes written: fewer only when the space is used up (a full disk, a spent quota, -L)
   * @throws KdumpError `write-failed`
   */
  write(bytes: Uint8Array, offset: number): number;
  /** Reads what was written; undefined or false where that cannot be had again. */
  readBack?(offset: number, target: Uint8Array): boolean;
  /** Reserves room that will be written later, so that a full disk shows early; may do nothing. */
  reserve(offset: number, length: number): void;
  /** Ends the output: a stream gets its terminator, also after an error. */
  close(): void;
  /** Removes what was written, where that is ours to remove. */
  discard(): void;
};
