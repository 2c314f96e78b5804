import { buildPurgatory } from '../purgatory/purgatory.ts';
import type { PlacingRequest } from '../request.ts';
import type { CrashSegments } from './crash-segments.ts';
import { digestOfSegments } from './digest.ts';
import type { Segment } from './segment.ts';
import { purgatoryConsole } from './serial-port.ts';

/** How the next kernel is started; physical addresses. */
export type Start = {
  readonly rip: number;
  /** boot_params, or 0. */
  readonly rsi: number;
  readonly commandLine: string;
  /** The NUL behind it. */
  readonly commandLineEnd: number;
};

/** The purgatory that checks these segments, saves low memory, and starts the kernel. */
export function purgatoryFor(
  { checks, console, preserveContext }: PlacingRequest,
  { rip, rsi, commandLine, commandLineEnd }: Start,
  loaded: readonly Segment[],
  backup: CrashSegments['backup'],
): { bytes: Uint8Array; entry: number; digest: Uint8Array | null } {
  const digest = checks ? digestOfSegments(loaded) : null;
  const regions = loaded
    .filter(({ verified }) => verified)
    .map(({ mem, memsz }) => ({ start: mem, length: memsz }));
  const purgatory = buildPurgatory({
    registers: { rip, rsi },
    check: digest === null ? null : { regions, digest },
    backup: backup === null ? null : copyOf(backup),
    console: purgatoryConsole(console, commandLine),
    jumpBack: preserveContext ? { commandLineEnd } : null,
  });
  return { ...purgatory, digest };
}

function copyOf({ source, segment }: NonNullable<CrashSegments['backup']>) {
  return { source: source.start, destination: segment.mem, size: source.end - source.start };
}
