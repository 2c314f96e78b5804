import { KdumpError } from '../../lib/errors.ts';
import type { Command } from '../command.ts';

/** A command of crash(8) that is not there, and why. */
const refused = (name: string, why: string, fix: string): Command => ({
  name,
  usage: '',
  summary: `not available: ${why}`,
  help: `${why}\n${fix}`,
  // biome-ignore lint/correctness/useYield: it never gets to a line.
  *run() {
    throw new KdumpError('not-available', why, { fix });
  },
});

export const wr = refused(
  'wr',
  'not allowed: a dump is only read, and so is a live kernel',
  'A kernel that is changed while it runs is not the one that will crash.',
);
export const extend = refused(
  'extend',
  'extension modules of crash(8) are shared objects built against its own sources',
  'Give commands in a file instead: -i FILE, and --json for programs.',
);
export const gdb = refused(
  'gdb',
  'there is no gdb inside',
  'Use p, struct, whatis, dis and sym; bt shows registers.',
);
