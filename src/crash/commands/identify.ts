import { addressOf, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';
import { type Finding, identify as findingsOf } from '../triage/identify.ts';

export const identify: Command = {
  name: 'identify',
  usage: 'address | symbol ...',
  summary: 'everything that an address is',
  help: `Says of each address what it is: a symbol, memory of a module, a per-CPU variable and of which CPU, a stack and of
whom, an object of which slab cache, a vmalloc area and who made it, a page and of which kind, an address of a program.

  identify ffff8b61825c2600
    0x0 bytes into the object 0xffff8b61825c2600 of filp: /sys/module/loop/parameters/max_loop`,
  *run(session, args) {
    for (const { address, findings } of found(session, args)) {
      yield hex(address);
      for (const { kind, text } of findings) yield `  ${kind.padEnd(13)} ${text}`;
      if (findings.length === 0) yield '  nothing that is known';
    }
  },
  json: (session, args) => found(session, args),
};

function found(session: Session, args: readonly string[]): { address: bigint; findings: Finding[] }[] {
  if (args.length === 0) throw usageError('an address or a symbol is wanted');
  return args.map((word) => {
    const address = addressOf(session, word);
    return { address, findings: findingsOf(session.kernel, address) };
  });
}
