import { parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { coverage as parts } from '../triage/coverage.ts';

export const coverage: Command = {
  name: 'coverage',
  usage: '',
  summary: 'what of the kernel the dump holds',
  help: `Shows how many pages of each part of the kernel the dump holds, and why others are missing: "excluded" were left out
by the filter, "hole" are no memory, "truncated" lie behind the end of the file. What the kernel gave back after its boot
is free memory, and missing in every filtered dump.`,
  *run({ kernel, dump }, args) {
    parseFlags(args, '');
    const { present, held } = dump.pages();
    const level = dump.dumpLevel === undefined ? '' : `, dump level ${dump.dumpLevel}`;
    yield `${held} of ${present} pages of memory (${share(held, present)})${level}`;
    yield `${'PART'.padEnd(38)} ${'PAGES'.padStart(8)} ${'HELD'.padStart(8)}`;
    for (const { part, pages, held: there, missing } of parts(kernel)) {
      const why = Object.entries(missing).map(([reason, count]) => `${count} ${reason}`);
      yield `${part.padEnd(38)} ${String(pages).padStart(8)} ${String(there).padStart(8)}  ${why.join(', ')}`.trimEnd();
    }
  },
  json: ({ kernel, dump }) => ({ memory: dump.pages(), parts: [...parts(kernel)] }),
};

const share = (part: number, whole: number): string =>
  whole === 0 ? '0 %' : `${((part / whole) * 100).toFixed(1)} %`;
