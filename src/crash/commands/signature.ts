import { parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { triageOf } from '../triage/of-session.ts';

export const signature: Command = {
  name: 'signature',
  usage: '',
  summary: 'a name that equal crashes have in common',
  help: `Shows a hash of the kind of crash and of the functions to blame, the innermost first. Addresses, offsets, what the
compiler adds to names, and the crash's own machinery are left out, so that it is the same in every boot and build.`,
  *run(session, args) {
    parseFlags(args, '');
    const { hash, class: kind, frames } = triageOf(session).signature;
    yield `${hash}  ${kind}`;
    for (const frame of frames) yield `  ${frame}`;
  },
  json: (session) => triageOf(session).signature,
};
