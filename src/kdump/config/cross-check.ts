import { KdumpError } from '../../lib/errors.ts';
import { collectRequest, expectedCollector } from '../capture/collector-words.ts';
import type { DirectiveName } from './directives.ts';
import type { Finding } from './finding.ts';
import type { KdumpConfig, Origin } from './parsed.ts';

/** What is wrong with settings that are right each by itself. */
export function crossCheck({ target, settings, origins }: KdumpConfig, file: string): Finding[] {
  const findings: Finding[] = [];
  const lineOf = (name: DirectiveName | 'target'): number => lineIn(origins[name]);
  const say = (
    severity: Finding['severity'],
    code: string,
    name: DirectiveName,
    message: string,
    fix: string,
  ): void => {
    findings.push({ severity, code, file, line: lineOf(name), column: 0, message, fix });
  };
  const isGiven = (name: DirectiveName): boolean => origins[name].from === 'file';

  if (settings.force_rebuild && settings.force_no_rebuild) {
    const [first, second] = [lineOf('force_rebuild'), lineOf('force_no_rebuild')];
    say(
      'error',
      'conflict',
      'force_no_rebuild',
      `force_rebuild and force_no_rebuild are enabled simultaneously in kdump.conf, in lines ${first} and ${second}`,
      'Set one of them to 0.',
    );
  }
  const targets = [...(target === null ? [] : [target]), ...settings.fallback_target];
  const kinds = new Set(targets.map(({ kind }) => kind));
  const collector = settings.core_collector;
  const expected = expectedCollector(collector, [...kinds]);
  if (collector[0] !== 'scp' && expected !== undefined)
    say(
      'error',
      'conflict',
      'core_collector',
      `core_collector is "${collector.join(' ')}", expected ${expected}`,
      'A program of your own can run before or after the dump: kdump_pre, kdump_post.',
    );
  const problem = collector[0] === 'makedumpfile' ? optionProblem(collector.slice(1)) : undefined;
  if (problem !== undefined)
    say(
      'error',
      'invalid-value',
      'core_collector',
      `core_collector makedumpfile: ${problem}`,
      'See makedumpfile(8).',
    );
  if (collector[0] === 'scp' && (kinds.size !== 1 || !kinds.has('ssh')))
    say(
      'error',
      'conflict',
      'core_collector',
      'core_collector scp copies to ssh targets only',
      'Name makedumpfile or cp.',
    );
  if (isGiven('sshkey') && !kinds.has('ssh'))
    say(
      'warning',
      'no-effect',
      'sshkey',
      'sshkey has no effect without an ssh target.',
      'Add one, or leave the line out.',
    );
  if (isGiven('fence_kdump_args') && settings.fence_kdump_nodes.length === 0)
    say(
      'warning',
      'no-effect',
      'fence_kdump_args',
      'fence_kdump_args has no effect without fence_kdump_nodes.',
      'Name the nodes, or leave the line out.',
    );
  if (isGiven('dracut_args') && settings.image_builder !== 'dracut')
    say(
      'warning',
      'no-effect',
      'dracut_args',
      `dracut_args has no effect on the image that image_builder ${settings.image_builder} makes, but for the target in it.`,
      'Write image_builder dracut.',
    );
  return findings;
}

/** Why makedumpfile would refuse these options; undefined: it would not. */
function optionProblem(options: readonly string[]): string | undefined {
  try {
    collectRequest([...options, '/proc/vmcore', 'vmcore']);
    return undefined;
  } catch (error) {
    if (error instanceof KdumpError) return error.message;
    throw error;
  }
}

const lineIn = (origin: Origin): number => (origin.from === 'file' ? origin.line : 0);
