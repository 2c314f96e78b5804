import { parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';
import { type BugSite, BugTable } from '../triage/bug-table.ts';
import { placeText } from '../triage/frame-text.ts';

export const warned: Command = {
  name: 'warned',
  usage: '',
  summary: 'warnings given once (WARN_ON_ONCE) that were given',
  help: `Shows where the kernel and its modules gave a warning that is given only once, with file and line, since the boot:
also those that the log has lost. WARN_ONCE() with a text of its own is not among them before 7.0.`,
  *run(session, args) {
    parseFlags(args, '');
    const sites = sitesOf(session);
    if (sites.length === 0) yield 'none of the warnings that are given once was given';
    for (const { address, file, line } of sites) {
      const place = session.kernel.symbolAt(address);
      yield `${hex(address)}  ${place === undefined ? '(unknown)' : placeText(place)}  ${file === undefined ? '' : `${file}:${line}`}`.trimEnd();
    }
  },
  json: (session) =>
    sitesOf(session).map(({ address, file, line }) => {
      const place = session.kernel.symbolAt(address);
      return { address, place: place === undefined ? null : placeText(place), file: file ?? null, line };
    }),
};

const sitesOf = ({ kernel }: Session): BugSite[] => new BugTable(kernel).warned();
