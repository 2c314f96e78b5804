import { folded } from '../triage/describe.ts';
import { hasFailed, type Part, type Report } from './build.ts';
import { percent, sizeText } from './picture.ts';
import { durationText, taskText, timeText, titleOf } from './words.ts';

/** A report as Markdown, to be pasted into an issue. */
export function reportMarkdown(report: Report): string {
  const out: string[] = [`# ${plain(titleOf(report))}`, '', plain(report.summary), ''];
  const section = <T extends object>(
    title: string,
    part: Part<T>,
    body: (part: T) => readonly string[],
  ): void => {
    out.push(
      `## ${title}`,
      '',
      ...(hasFailed(part) ? [`Not to be had: ${plain(part.failed)}`] : body(part)),
      '',
    );
  };
  section('Crash', report.crash, ({ reason, signature, task, blamed, fault, trace, objects, ...rest }) => [
    ...items([
      ['message', reason.message],
      ['panic', reason.panic],
      ['signature', `${signature.hash} (${signature.class}: ${signature.frames.join(' < ')})`],
      ['task', task && taskText(task)],
      ['blamed', blamed && [blamed.place, blamed.source].filter(Boolean).join(', ')],
      [
        'fault',
        fault &&
          `${fault.access ?? 'access'} at ${fault.address}: ${fault.findings.map(({ text }) => text).join('; ')}`,
      ],
      ['operand', fault?.operand?.text],
      ['taints', rest.taints],
      ['tainted modules', rest.taintedModules.map(({ name, taints }) => `${name} (${taints})`).join(', ')],
      ['last unloaded', rest.lastUnloaded],
      ...objects.flatMap(({ cache, text }) =>
        text === undefined ? [] : [[`stack leads to ${cache}`, text] as const],
      ),
    ]),
    '',
    ...fenced(folded(trace)),
  ]);
  section('Call traces', report.traces, (traces) =>
    traces.flatMap(({ cpu, pid, comm, panicked, frames, stop }) => [
      `CPU ${cpu}: ${plain(comm ?? '?')} (pid ${pid ?? '?'})${panicked ? ', panicked' : ''}`,
      '',
      ...fenced([...folded(frames), ...(stop === null ? [] : [`(the trace ends here: ${stop})`])]),
      '',
    ]),
  );
  section('Last lines of the log', report.log, fenced);
  section('Tasks', report.tasks, ({ total, states, blocked }) => [
    `${total} tasks: ${Object.entries(states)
      .map(([state, count]) => `${count} ${state}`)
      .join(', ')}`,
    '',
    ...items(
      blocked.map(({ comm, pid, seconds, trace }) => [
        `${comm ?? '?'} (${pid ?? '?'}) waits ${seconds === null ? '' : durationText(seconds)}`,
        trace.slice(0, 3).join(' < '),
      ]),
    ),
  ]);
  section('Memory', report.memory, ({ total, uses }) => [
    `| kind | size | of ${sizeText(total)} |`,
    '| --- | ---: | ---: |',
    ...uses.map(({ kind, bytes }) => `| ${kind} | ${sizeText(bytes)} | ${percent(bytes, total)} |`),
  ]);
  section('System', report.system, (facts) =>
    items([
      ['kernel', [facts.release, facts.version, facts.machine].filter(Boolean).join(' ')],
      ['CPUs', String(facts.cpus)],
      ['memory', facts.memoryBytes === null ? null : sizeText(facts.memoryBytes)],
      ['crashed at', facts.crashTime === null ? null : timeText(facts.crashTime)],
      ['uptime', facts.uptimeSeconds === null ? null : durationText(facts.uptimeSeconds)],
      ['command line', facts.commandLine],
    ]),
  );
  section('Modules', report.modules, (modules) => [
    modules.map(({ name, taints }) => plain(taints === '' ? name : `${name} (${taints})`)).join(', '),
  ]);
  return `${out.join('\n').trimEnd()}\n`;
}

const items = (rows: readonly (readonly [label: string, text: string | null | undefined])[]): string[] =>
  rows.flatMap(([label, text]) => (text ? [`- ${plain(label)}: ${plain(text)}`] : []));

/** Text that stays text: what a name of a task or file holds is no markup. */
const plain = (text: string): string => text.replace(/[\\`*_[\]<>#|]/g, '\\$&').replace(/[\r\n]+/g, ' ');

/** Lines as they are, behind a fence that none of them can end. */
function fenced(text: readonly string[]): string[] {
  const longest = Math.max(2, ...text.flatMap((line) => line.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return [fence, ...text, fence];
}
