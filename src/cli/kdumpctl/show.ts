import { join } from 'node:path';
import type { Argv } from 'yargs';
import { describeDump } from '../../kdump/dumps/describe.ts';
import { readEnd } from '../../kdump/dumps/list.ts';
import type { SavedDump } from '../../kdump/dumps/saved-dump.ts';
import { chooseDump, type Where, whereOptions } from './dumps.ts';
import type { VerbModule } from './verb.ts';

type Options = Where & { readonly dump: string | undefined; readonly lines: number };

export const command: VerbModule['command'] = {
  command: 'show [dump]',
  describe: 'tell what a dump is and how it came about',
  builder: (yargs: Argv) =>
    whereOptions(yargs)
      .positional('dump', {
        type: 'string',
        describe: 'its name, the beginning of that, or a path; the newest without',
      })
      .option('lines', {
        alias: 'n',
        type: 'number',
        default: 20,
        describe: "so many lines of the kernel's log",
      }),
  handler: (args) => {
    const { dump: named, lines, ...where }: Options = args as never;
    const dump = chooseDump(named, where);
    const log = endOfLog(dump, lines);
    process.stdout.write(
      where.json ? `${JSON.stringify({ ...dump, log }, undefined, 2)}\n` : describeDump(dump, log.join('\n')),
    );
  },
};

/** Longest line of a kernel's log, and more. */
const longestLine = 1024;

function endOfLog({ directory, dmesg }: SavedDump, lines: number): string[] {
  // What is packed is not a text.
  if (dmesg === null || lines < 1 || /\.(bz2|gz|lz4|xz)$/.test(dmesg)) return [];
  return readEnd(join(directory, dmesg), lines * longestLine)
    .trimEnd()
    .split('\n')
    .slice(-lines);
}
