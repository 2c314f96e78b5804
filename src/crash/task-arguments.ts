import { known } from '../kernel/core.ts';
import { isMissing } from '../kernel/memory.ts';
import type { KernelTask } from '../kernel/tasks.ts';
import { userMemory } from '../kernel/user-memory.ts';
import type { Session } from './session.ts';
import { taskHeader } from './tasks.ts';
import { missingText } from './text.ts';

/** Most bytes of arguments or environment that are shown. */
const maxArguments = 2 ** 16;

/** ps -a: they lie in pages of the process, which a filtered dump does not hold. */
export function* argumentLines({ kernel, dump }: Session, task: KernelTask): Generator<string> {
  yield taskHeader(task);
  const mm = known(task.object.member('mm').deref());
  if (mm === undefined) return;
  for (const [label, start, end] of [
    ['ARG', 'arg_start', 'arg_end'],
    ['ENV', 'env_start', 'env_end'],
  ] as const) {
    const [from, to] = [known(mm.member(start).integer()), known(mm.member(end).integer())];
    if (!from || !to || to <= from) {
      yield `${label}: `;
      continue;
    }
    const memory = userMemory(kernel, dump.physical, task);
    if (memory === undefined) return;
    const bytes = isMissing(memory) ? memory : memory.read(from, Math.min(Number(to - from), maxArguments));
    if (isMissing(bytes)) {
      yield `${label}: ${missingText(bytes)}`;
      continue;
    }
    const words = Buffer.from(bytes).toString('latin1').replace(/\0+$/, '').split('\0');
    if (label === 'ARG') yield `ARG: ${words.join(' ')} `;
    else for (const [i, word] of words.entries()) yield `${i === 0 ? 'ENV: ' : '     '}${word}`;
  }
}
