import { parseMakedumpfile } from '../../dump/options.ts';
import type { CollectRequest } from '../../dump/request.ts';
import { KdumpError } from '../../lib/errors.ts';

/**
 * What a core collector would have to be for targets of these kinds, in words; undefined when it is that. scp is a word
 * of the original's: ssh takes the plain vmcore, as cp does elsewhere.
 */
export function expectedCollector(words: readonly string[], kinds: readonly string[]): string | undefined {
  const [program] = words;
  const copies = words.length === 1 && (program === 'cp' || program === 'scp');
  if (program !== 'makedumpfile' && !copies) return '"makedumpfile OPTION…" or "cp"';
  if (copies && kinds.includes('raw')) return '"makedumpfile OPTION…" where a target is raw';
  return program === 'scp' && !kinds.includes('ssh') ? '"cp" where no target is ssh' : undefined;
}

/**
 * What a core collector's words ask for: source and output at their end. -F is left out, since the target decides whether
 * the dump is a stream.
 * @throws KdumpError when makedumpfile would not take these words, or would not write a dump for them.
 */
export function collectRequest(argv: readonly string[]): CollectRequest {
  const command = parseMakedumpfile(argv.filter((word) => word !== '-F'));
  if (command.mode !== 'create' || command.request.target.kind !== 'file')
    throw new KdumpError(
      'capture-config',
      `makedumpfile ${argv.join(' ')}: these options do not write one dump file`,
      {
        fix: 'Give the core collector only options that say how to filter and compress.',
      },
    );
  return command.request;
}
