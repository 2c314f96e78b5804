import { hasOption } from '../../lib/getopt.ts';
import { parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { buildReport } from '../report/build.ts';
import { renderReport } from '../report/render.ts';

export const report: Command = {
  name: 'report',
  usage: '[-w | -j]',
  summary: 'everything about the crash in one document',
  help: `Writes what happened, call traces, the end of the log, tasks and memory as Markdown. A part that cannot be made says
so in its place.

  -w   as a web page that needs nothing but itself
  -j   as JSON

  report -w > crash.html`,
  *run({ kernel, dump }, args) {
    const flags = parseFlags(args, 'wj');
    const format = hasOption(flags, 'j') ? 'json' : hasOption(flags, 'w') ? 'html' : 'md';
    yield* renderReport(buildReport(kernel, dump), format).trimEnd().split('\n');
  },
  json: ({ kernel, dump }) => buildReport(kernel, dump),
};
