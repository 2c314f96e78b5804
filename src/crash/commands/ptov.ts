import { isMissing } from '../../kernel/memory.ts';
import { directMapStart } from '../../kernel/page-of.ts';
import { cpusOf, parseAddress, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { hex } from '../text.ts';

export const ptov: Command = {
  name: 'ptov',
  usage: '[address | offset:cpus] ...',
  summary: 'where a physical address is mapped; or a per-CPU offset on CPUs',
  help: 'ptov 56e000\nptov b0c0:a',
  *run(session, args) {
    if (args.length === 0) throw usageError('ptov: a physical address is expected');
    for (const word of args) {
      const [, text, cpus] = /^(\w+):([\w,-]+)$/.exec(word) ?? [];
      const value = parseAddress(text ?? word);
      if (value === undefined) throw usageError(`ptov: ${word} is no address`);
      if (cpus !== undefined) {
        yield `PER-CPU OFFSET: ${value.toString(16)}`;
        yield `  CPU    VIRTUAL`;
        for (const cpu of cpusOf(session, cpus)) {
          const address = session.kernel.core.perCpuAddress(value, cpu);
          if (address !== undefined && !isMissing(address)) yield `  [${cpu}]  ${hex(address)}`;
        }
        continue;
      }
      yield 'VIRTUAL           PHYSICAL        ';
      yield `${hex(directMapStart(session.kernel) + value)}  ${value.toString(16)}`;
      yield '';
    }
  },
};
