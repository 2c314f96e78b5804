import { createHash } from 'node:crypto';
import type { Frame } from '../../kernel/backtrace.ts';
import { blamedNames } from './blame.ts';
import type { CrashClass } from './reason.ts';

/** What equal crashes have in common. */
export type Signature = {
  /** 16 hex digits: SHA-256 of the class and the names. */
  readonly hash: string;
  readonly class: CrashClass;
  /** Functions that are blamed, the innermost first. */
  readonly frames: readonly string[];
};

/** Enough to tell crashes apart, few enough that the way there does not matter. */
const mostFrames = 5;

/** A name for a crash that the same crash on another machine, boot or build of the kernel has as well. */
export function signatureOf(kind: CrashClass, blamed: readonly Frame[]): Signature {
  const frames = blamedNames(blamed, mostFrames);
  const hash = createHash('sha256')
    .update([kind, ...frames].join('\n'))
    .digest('hex')
    .slice(0, 16);
  return { hash, class: kind, frames };
}
