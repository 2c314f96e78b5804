/**
 * The one error type of the project. Text for people and JSON for programs are two renderings of the same object:
 * what failed, the facts it was decided on, and what to do about it.
 */
export type Facts = Readonly<Record<string, string | number | boolean | null | undefined>>;

export type KdumpErrorOptions = {
  /** What the reader can do now, as one sentence. */
  fix?: string;
  /** The values the error was decided on, for `--json`. Addresses as "0x…" strings. */
  facts?: Facts;
  /** Process exit code when the error ends the command; 1 unless the original tool says otherwise. */
  exitCode?: number;
  cause?: unknown;
};

export class KdumpError extends Error {
  /** Stable, lower-case, dash-separated name, for tests and scripts. */
  readonly code: string;
  readonly fix: string | undefined;
  readonly facts: Facts;
  readonly exitCode: number;

  constructor(code: string, message: string, options: KdumpErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KdumpError';
    this.code = code;
    this.fix = options.fix;
    this.facts = options.facts ?? {};
    this.exitCode = options.exitCode ?? 1;
  }

  /** One line for the cause, one more for the fix when there is one. */
  toText(): string {
    return this.fix === undefined ? this.message : `${this.message}\n  ${this.fix}`;
  }

  toJSON(): object {
    return { error: this.code, message: this.message, fix: this.fix, facts: this.facts };
  }
}

/** Text of anything thrown, without a stack for errors that were raised on purpose. */
export function describeError(error: unknown): string {
  if (error instanceof KdumpError) return error.toText();
  if (error instanceof Error) {
    // A system error of node's own carries a code and reads well as it is; anything else is a defect of ours.
    return 'code' in error ? error.message : (error.stack ?? error.message);
  }
  return String(error);
}

/** Process exit code that stands for anything thrown. */
export function exitCodeOf(error: unknown): number {
  return error instanceof KdumpError ? error.exitCode : 1;
}
