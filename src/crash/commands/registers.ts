import { isMissing } from '../../kernel/memory.ts';
import { KdumpError } from '../../lib/errors.ts';
import { lastValue } from '../../lib/getopt.ts';
import { cpusOf, parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { registerLines } from '../registers-text.ts';
import { hex, missingText } from '../text.ts';

export const regs: Command = {
  name: 'regs',
  aliases: ['g'],
  usage: '[-c cpus]',
  summary: 'the registers that CPUs saved when they were stopped',
  help: `Of the CPU that panicked, unless others are named.

  regs -c a      regs -c 0,2`,
  *run(session, args) {
    const { kernel } = session;
    const wanted = lastValue(parseFlags(args, 'c:'), 'c');
    const cpus = wanted === undefined ? [kernel.panicCpu ?? 0] : cpusOf(session, wanted);
    for (const cpu of cpus) {
      const registers = kernel.cpus.find((each) => each.cpu === cpu)?.registers;
      if (registers === undefined)
        throw new KdumpError(
          'no-registers',
          `CPU ${cpu} saved no registers: it did not answer when it was stopped`,
        );
      if (isMissing(registers)) {
        yield `CPU ${cpu}: ${missingText(registers)}`;
        continue;
      }
      const place = kernel.symbolAt(registers.rip);
      yield `CPU ${cpu}: ${place === undefined ? hex(registers.rip) : `${place.symbol.name}+${place.offset}`}`;
      yield* registerLines(registers);
    }
  },
  json: ({ kernel }) => kernel.cpus.map(({ cpu, registers }) => ({ cpu, registers })),
};
