import type { MemoryByKind } from '../../kernel/memory-use.ts';
import { folded } from '../triage/describe.ts';
import type { Triage } from '../triage/triage.ts';
import { hasFailed, type Part, type Report, type TracePart } from './build.ts';
import { reportStyle } from './html-style.ts';
import { details, escapeHtml, lines, pairs, table } from './html-text.ts';
import { memoryPicture, percent, sizeText } from './picture.ts';
import type { TasksPart } from './tasks-part.ts';
import { durationText, taskText, timeText, titleOf } from './words.ts';

/** Lines of the log that are open to view. */
const logShown = 60;

/** A report as one HTML file that needs nothing else: no network, no scripts, no fonts. */
export function reportHtml(report: Report): string {
  const { crash, system, dump } = report;
  const message = hasFailed(crash) ? null : (crash.reason.message ?? null);
  const body = [
    `<header><h1>${escapeHtml(titleOf(report))}</h1>`,
    message === null ? '' : `<p class="message">${escapeHtml(message)}</p>`,
    `<p class="story">${escapeHtml(report.summary)}</p></header><main>`,
    section('Crash', crash, crashBody),
    section('Call traces', report.traces, (traces) => traces.map(traceBody).join('')),
    section('Last lines of the log', report.log, logBody),
    section('Tasks', report.tasks, tasksBody),
    section('Memory', report.memory, memoryBody),
    section('System', system, (facts) =>
      pairs([
        ['Kernel', facts.release],
        ['Version', facts.version],
        ['Machine', facts.machine],
        ['Node', facts.nodename],
        ['CPUs', String(facts.cpus)],
        ['Memory', facts.memoryBytes === null ? null : sizeText(facts.memoryBytes)],
        ['Crashed at', facts.crashTime === null ? null : timeText(facts.crashTime)],
        ['Uptime', facts.uptimeSeconds === null ? null : durationText(facts.uptimeSeconds)],
        ['Load average', facts.loadAverage?.map((load) => load.toFixed(2)).join(', ') ?? null],
        ['Command line', facts.commandLine],
      ]),
    ),
    section('Modules', report.modules, (modules) =>
      details(
        `${modules.length} modules`,
        table(
          'Modules, the last one loaded first',
          ['Name', 'Address', 'Size', 'Taints'],
          modules.map(({ name, base, size, taints }) => [name, base, sizeText(size), taints]),
        ),
      ),
    ),
    section('Dump', dump, () =>
      pairs([
        ['Files', dump.paths.join(', ')],
        ['Format', dump.format],
        ['Dump level', dump.dumpLevel === null ? null : String(dump.dumpLevel)],
        ['State', dump.incomplete ? 'incomplete' : 'whole'],
      ]),
    ),
    '</main>',
  ];
  return [
    '<!DOCTYPE html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${escapeHtml(titleOf(report))}</title><style>${reportStyle}</style></head>`,
    `<body>${body.join('\n')}</body></html>`,
    '',
  ].join('\n');
}

function section<T extends object>(title: string, part: Part<T>, body: (part: T) => string): string {
  const content = hasFailed(part)
    ? `<p class="failed">${escapeHtml(`Not to be had: ${part.failed}`)}</p>`
    : body(part);
  return `<section><h2>${escapeHtml(title)}</h2>${content}</section>`;
}

function crashBody({
  reason,
  signature,
  task,
  panicTask,
  blamed,
  fault,
  trace,
  objects,
  ...rest
}: Triage): string {
  const tainted = rest.taintedModules.map(({ name, taints }) => `${name} (${taints})`).join(', ');
  const values = Object.entries(fault?.operand?.registers ?? {}).map(([name, value]) => `${name} = ${value}`);
  const facts = pairs([
    ['Class', signature.class],
    ['Signature', `${signature.hash} (${signature.frames.join(' < ')})`],
    ['Panic', reason.panic ?? null],
    ['Task', task && taskText(task)],
    ['Noticed by', panicTask && panicTask.address !== task?.address ? taskText(panicTask) : null],
    ['Blamed', blamed && [blamed.place, blamed.source].filter(Boolean).join(', ')],
    [
      'Fault',
      fault &&
        `${fault.access ?? 'access'} at ${fault.address}: ${fault.findings.map(({ text }) => text).join('; ')}`,
    ],
    ['Operand', fault?.operand ? `${fault.operand.text} (${values.join(', ')})` : null],
    ['Taints', rest.taints],
    ['Tainted modules', tainted],
    ['Last unloaded', rest.lastUnloaded],
    ['Before', reason.earlier.join('; ')],
  ]);
  const named = objects.flatMap(({ cache, address, text }) =>
    text === undefined ? [] : [[text, cache, address]],
  );
  return [
    facts,
    trace.length === 0 ? '' : `<h3>What it was in</h3>${lines('Blamed call trace', folded(trace))}`,
    named.length === 0 ? '' : table('What its stack leads to', ['Object', 'Kind', 'Address'], named),
  ].join('');
}

function traceBody({ cpu, pid, comm, panicked, frames, stop }: TracePart): string {
  const who = `CPU ${cpu}: ${comm ?? 'unknown'} (pid ${pid ?? '?'})${panicked ? ', panicked' : ''}`;
  const end = stop === null ? [] : [`(the trace ends here: ${stop})`];
  return details(who, lines(`Call trace of CPU ${cpu}`, [...folded(frames), ...end]), panicked);
}

function logBody(log: readonly string[]): string {
  const earlier = log.slice(0, -logShown);
  return [
    earlier.length === 0
      ? ''
      : details(`${earlier.length} lines before`, lines('Earlier lines of the log', earlier)),
    lines('Last lines of the log', log.slice(-logShown)),
  ].join('');
}

function tasksBody({ total, states, blocked, damaged }: TasksPart): string {
  const counts = Object.entries(states).sort(([, a], [, b]) => b - a);
  return [
    `<p>${escapeHtml(`${total} tasks: ${counts.map(([state, count]) => `${count} ${state}`).join(', ')}.`)}</p>`,
    damaged ? '<p class="note">The lists of tasks are damaged; what could be reached is here.</p>' : '',
    blocked.length === 0
      ? ''
      : table(
          'Waiting and not to be interrupted, the longest first',
          ['Task', 'For', 'In'],
          blocked.map(({ pid, comm, seconds, trace }) => [
            `${comm ?? '?'} (${pid ?? '?'})`,
            seconds === null ? '?' : durationText(seconds),
            trace.slice(0, 3).join(' < '),
          ]),
        ),
  ].join('');
}

function memoryBody(memory: MemoryByKind): string {
  const { total, uses } = memory;
  const rows = uses.map(
    ({ kind, bytes }, i) =>
      `<tr><td><span class="key use-${i}"></span>${escapeHtml(kind)}</td><td>${sizeText(bytes)}</td><td>${percent(bytes, total)}</td></tr>`,
  );
  return [
    memoryPicture(memory),
    `<table><caption>${sizeText(total)} by kind</caption><thead><tr><th scope="col">Kind</th>`,
    `<th scope="col">Size</th><th scope="col">Share</th></tr></thead><tbody>${rows.join('')}</tbody></table>`,
  ].join('');
}
