import { collect } from '../../dump/collect.ts';
import { extractDmesg } from '../../dump/dmesg.ts';
import { parseMakedumpfile } from '../../dump/options.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { CaptureTools } from './machine.ts';

/** Our own collector, as the capture uses it: no process of its own, its report as a value. */
export const captureTools: CaptureTools = {
  extractDmesg,
  collect: (argv, hooks) => collect(collectRequest(argv), hooks),
};

/** @throws KdumpError when makedumpfile would not take these words, or would not write a dump for them. */
export function collectRequest(argv: readonly string[]) {
  const command = parseMakedumpfile(argv);
  if (command.mode !== 'create')
    throw new KdumpError(
      'capture-config',
      `makedumpfile ${argv.join(' ')}: these options do not write a dump`,
      {
        fix: 'Give the core collector only options that say how to filter and compress.',
      },
    );
  return command.request;
}
