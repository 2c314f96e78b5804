import type { Backtrace, Frame } from '../kernel/backtrace.ts';
import type { UnwindStop } from '../kernel/unwind.ts';
import { registerLines } from './registers-text.ts';
import type { Session } from './session.ts';
import { hex, missingText } from './text.ts';

export type FrameStyle = {
  /** Distance from the beginning of each function. */
  readonly offsets: boolean;
  readonly radix: 10 | 16;
  /** Source lines, where the session has a namelist. */
  readonly sourceLines: boolean;
  /** Lines of what lies on the stack between two addresses; nothing when they are not wanted. */
  readonly between: ((start: bigint, end: bigint) => Iterable<string>) | undefined;
};

/** The frames of a backtrace as crash(8) prints them, and why they end where they do not end well. */
export function* backtraceLines(
  session: Session,
  { frames, stop }: Backtrace,
  style: FrameStyle,
): Generator<string> {
  for (const [i, frame] of frames.entries()) {
    const before = frames[i - 1];
    const { registers, place, user } = frame;
    if (registers !== undefined && i > 0) {
      if (!user)
        yield `    [exception RIP: ${place === undefined ? 'unknown or invalid address' : placeText(frame, true, style.radix)}]`;
      yield* registerLines(registers);
    }
    if (user) return;
    if (
      before?.stack !== undefined &&
      before.stack.start !== frame.stack?.start &&
      before.stack.kind !== 'task'
    )
      yield `--- <${before.stack.kind === 'exception' ? `${before.stack.name} exception` : before.stack.name} stack> ---`;
    const slot = frame.slot ?? frame.sp;
    const module = place?.symbol.module === undefined ? '' : ` [${place.symbol.module.name}]`;
    yield `${`#${i}`.padStart(3)} [${hex(slot)}] ${place === undefined ? '(unknown)' : placeText(frame, style.offsets, style.radix)} at ${hex(frame.ip)}${module}${frame.certain ? '' : '  (inexact)'}`;
    const line = style.sourceLines
      ? session.namelist?.sourceLine(frame.slot === undefined ? frame.ip : frame.ip - 1n)
      : undefined;
    if (line !== undefined) yield `    ${line}`;
    const next = frames[i + 1];
    if (style.between === undefined || next === undefined) continue;
    if (next.slot !== undefined && next.stack?.start === frame.stack?.start)
      yield* style.between(slot + 8n, next.slot + 8n);
  }
  // A CPU that runs has its registers for itself.
  if (session.isLive && stop.reason === 'no-registers') return yield '(active)';
  const why = reasonToStop(stop);
  if (why !== undefined) yield `bt: the trace ends here: ${why}`;
}

function placeText({ place }: Frame, withOffset: boolean, radix: 10 | 16): string {
  const { symbol, offset } = place!;
  if (!withOffset) return symbol.name;
  return `${symbol.name}+${radix === 16 ? '0x' : ''}${offset.toString(radix)}`;
}

/** In words; undefined when it came to its natural end. */
export function reasonToStop(stop: UnwindStop): string | undefined {
  switch (stop.reason) {
    case 'end':
    case 'user':
      return undefined;
    case 'unknown-code':
      return `nothing describes how the code at ${hex(stop.ip)} is left`;
    case 'lost-register':
      return `${stop.register}, which is needed at ${hex(stop.ip)}, was lost`;
    case 'no-code':
      return `${hex(stop.ip)} is no address of code`;
    case 'missing':
      return `the stack at ${stop.missing.address} is not in the dump ${missingText(stop.missing)}`;
    case 'loop':
      return 'the stack leads back to where it was';
    case 'no-unwinder':
      return 'this kernel has neither ORC tables nor frame pointers';
    case 'no-registers':
      return 'the CPU saved no registers: it did not answer when it was stopped';
  }
}
