import { parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { describeTriage } from '../triage/describe.ts';
import { storyFacts, triageOf } from '../triage/of-session.ts';

export const triage: Command = {
  name: 'triage',
  usage: '',
  summary: 'what happened, in one paragraph and what it rests on',
  help: `Says why the kernel crashed, in which function, of which task and module, what the address of a fault was and how it
was formed, and which files and tasks the stack leads to. BUG() and WARN() come with file and line. All of it is taken
from the dump itself.

Objects are found by words on the part of the stack that was in use. One that is left over from an earlier call may be
among them.`,
  *run(session, args) {
    parseFlags(args, '');
    yield* describeTriage(triageOf(session), storyFacts(session));
  },
  json: (session) => triageOf(session),
};
