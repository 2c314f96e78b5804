import { closeSync } from 'node:fs';
import { openByteStream } from '../../dump/output/byte-stream.ts';
import { KdumpError } from '../../lib/errors.ts';
import { startBeside } from '../../system/beside.ts';

/** How a program ended: its exit status as a shell has it, and what it said. */
export type Ended = { readonly status: number; readonly said: string };

export type RunOptions = {
  /** For its standard input. */
  readonly input?: Uint8Array | undefined;
  /** When memory runs out, it is the first to go. */
  readonly expendable?: boolean;
  /** Called several times a second while it runs. */
  readonly meanwhile?: () => void;
};

/** Seconds. */
const pause = 0.2;

/**
 * Runs a program to its end. Not by node's own means: those wait for whoever holds the output, be it something that was
 * left running.
 * @throws KdumpError `no-program`, or `timed-out` when it had to be ended
 */
export function runBounded(
  program: string,
  args: readonly string[],
  seconds: number,
  { input, expendable = false, meanwhile }: RunOptions = {},
): Ended {
  const until = performance.now() + seconds * 1000;
  const started = startBeside(program, args, { stdin: input === undefined ? 'none' : 'pipe', expendable });
  try {
    if (started.stdin !== null && input !== undefined) send(started.stdin, program, input, seconds);
    const left = (): number => (until - performance.now()) / 1000;
    let status = started.status();
    while (status === undefined && left() > 0) {
      status = started.wait(Math.min(pause, left()));
      meanwhile?.();
    }
    if (status !== undefined) return { status, said: started.said() };
    throw new KdumpError('timed-out', `${program} did not end within ${seconds} s`, {
      facts: { program, seconds },
    });
  } finally {
    started.kill();
    started.wait(1);
    started.close();
  }
}

/** A program that ends without reading all of it says why by itself. */
function send(fd: number, program: string, input: Uint8Array, seconds: number): void {
  try {
    openByteStream(fd, program, seconds)([input]);
  } catch (error) {
    if (!(error instanceof KdumpError) || error.code !== 'write-failed') throw error;
  } finally {
    closeSync(fd);
  }
}
