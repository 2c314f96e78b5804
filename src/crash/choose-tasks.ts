import { known } from '../kernel/core.ts';
import type { KernelTask } from '../kernel/tasks.ts';
import { tasksOf, usageError } from './arguments.ts';
import type { Session } from './session.ts';
import { tasksByPid } from './tasks.ts';

/** Most characters of a regular expression, and of a name (comm has 16): what keeps one from running for ever. */
const maxPattern = 64;

/**
 * The tasks that words mean: PIDs, addresses, names; one in quotes is a regular expression. A name that no task has
 * means none; a number that is none is an error.
 * @throws KdumpError `usage`
 */
export function chooseTasks(session: Session, words: readonly string[]): KernelTask[] {
  const all = tasksByPid(session.kernel);
  return words.flatMap((word) => {
    const found = tasksOf(session, word);
    if (found !== undefined) return found;
    if (/^\d+$/.test(word)) throw usageError(`invalid task or pid value: ${word}`);
    const [, pattern] = /^'(.*)'$/.exec(word) ?? [];
    if (pattern === undefined) {
      const name = word.replace(/^\\/, '').slice(0, 15);
      return all.filter(({ comm }) => comm === name);
    }
    const expression = expressionOf(pattern);
    return all.filter(({ comm }) => expression.test(known(comm) ?? ''));
  });
}

function expressionOf(pattern: string): RegExp {
  try {
    if (pattern.length <= maxPattern) return new RegExp(pattern);
  } catch {
    // Said below.
  }
  throw usageError(`invalid regular expression: ${pattern}`);
}
