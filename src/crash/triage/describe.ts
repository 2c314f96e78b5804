import { type StoryFacts, tellStory } from './story.ts';
import type { Triage } from './triage.ts';

const width = 100;
/** Frames that are shown; a recursion has hundreds of the same. */
const mostFrames = 24;

/** A triage as text for a terminal: the story, then what it rests on. */
export function* describeTriage(triage: Triage, facts: StoryFacts = {}): Generator<string> {
  const { reason, signature, task, panicTask, blamed, fault, objects, trace } = triage;
  yield* wrapped(tellStory(triage, facts));
  yield '';
  const line = (label: string, text: string): string => `${label.padStart(14)}: ${text}`;
  if (reason.message !== undefined) yield line('MESSAGE', reason.message);
  if (reason.panic !== undefined) yield line('PANIC', reason.panic);
  for (const text of reason.earlier) yield line('BEFORE', text);
  yield line('CLASS', signature.class);
  yield line('SIGNATURE', `${signature.hash}  (${signature.frames.join(' < ')})`);
  if (task !== null)
    yield line('TASK', `${task.comm} (pid ${task.pid}, ${task.address}, CPU ${task.cpu}, ${task.state})`);
  if (panicTask !== null && panicTask.address !== task?.address)
    yield line('NOTICED BY', `${panicTask.comm} (pid ${panicTask.pid}, CPU ${panicTask.cpu})`);
  if (blamed !== null) yield line('BLAMED', blamed.place);
  if (blamed?.source) yield line('SOURCE', blamed.source);
  if (fault !== null) {
    yield line('FAULT', `${fault.access ?? 'access'} at ${fault.address}`);
    for (const { text } of fault.findings) yield line('', text).replace(':', ' ');
    if (fault.operand !== null) {
      const values = Object.entries(fault.operand.registers).map(([name, value]) => `${name}=${value}`);
      yield line('OPERAND', `${fault.operand.text}  (${values.join(' ')})`);
    }
  }
  if (triage.taints) yield line('TAINTS', triage.taints);
  for (const { name, taints } of triage.taintedModules) yield line('MODULE', `${name} (${taints})`);
  if (triage.lastUnloaded !== null) yield line('LAST UNLOADED', triage.lastUnloaded);
  if (trace.length > 0) yield* ['', 'What it was in:', ...folded(trace).map((frame) => `  ${frame}`)];
  if (objects.length > 0) {
    yield* ['', 'What its stack leads to:'];
    for (const { cache, address, text, words } of objects)
      yield `  ${address}  ${cache.padEnd(16)} ${String(words).padStart(2)} x${text === undefined ? '' : `  ${text}`}`;
  }
}

/** Frames one below the other, equal ones counted. */
export function folded(trace: readonly string[]): string[] {
  const lines: { text: string; times: number }[] = [];
  for (const text of trace) {
    const last = lines.at(-1);
    if (last?.text === text) last.times++;
    else lines.push({ text, times: 1 });
  }
  const shown = lines
    .slice(0, mostFrames)
    .map(({ text, times }) => (times === 1 ? text : `${text}  (${times} times)`));
  return lines.length <= mostFrames ? shown : [...shown, `and ${lines.length - mostFrames} more`];
}

/** A paragraph in lines. */
export function* wrapped(text: string): Generator<string> {
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      yield line;
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  if (line !== '') yield line;
}
