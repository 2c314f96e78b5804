import { describeList } from '../../kdump/dumps/describe.ts';
import { findDumps, type Where, whereOptions } from './dumps.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'list',
  describe: 'list the saved dumps',
  builder: whereOptions,
  handler: (args) => {
    const where: Where = args as never;
    const { dumps, unseen } = findDumps(where);
    if (where.json) {
      process.stdout.write(`${JSON.stringify({ dumps, unseen }, undefined, 2)}\n`);
      return;
    }
    process.stdout.write(dumps.length === 0 ? 'There are no dumps.\n' : describeList(dumps));
    for (const { target, why } of unseen)
      process.stderr.write(`kdump: "${target}" was not looked into: ${why}\n`);
  },
};
