import type { CrashClass } from './reason.ts';
import type { Triage } from './triage.ts';

export type StoryFacts = {
  readonly release?: string | undefined;
  readonly uptime?: number | undefined;
  /** It runs. */
  readonly live?: boolean;
};

/** What happened, in one paragraph for people. */
export function tellStory(triage: Triage, { release, uptime, live = false }: StoryFacts = {}): string {
  const kernel = `The kernel${release === undefined ? '' : ` ${release}`}`;
  const { reason } = triage;
  if (live) return [`${kernel} runs, and changes while this is read.`, ...troubles(triage)].join(' ');
  if (reason.class === 'none')
    return `${kernel} did not crash as far as its log tells: the dump was taken from outside, or the log is not whole.`;
  const age = uptime === undefined ? '' : ` ${seconds(uptime)} after its boot`;
  const sentences = [
    `${kernel} crashed${age}: ${meanings[reason.class]}.`,
    ...where(triage),
    ...faultSentence(triage),
    ...fileSentence(triage),
    ...moduleSentence(triage),
    ...earlierSentence(triage),
  ];
  return sentences.join(' ');
}

/** Of a kernel that runs: what its log tells, though it came through. */
function troubles(triage: Triage): string[] {
  const { reason } = triage;
  if (reason.class === 'none') return ['Its log tells of nothing that it could have died of.'];
  return [
    `What its log tells last: ${reason.message ?? meanings[reason.class]}.`,
    ...moduleSentence(triage),
    ...earlierSentence(triage),
  ];
}

function earlierSentence({ reason: { earlier } }: Triage): string[] {
  if (earlier.length === 0) return [];
  return [
    `The log holds ${count(earlier.length, 'earlier warning or oops', 'earlier warnings and oopses')}.`,
  ];
}

/** Each class in words that need no knowledge of the kernel's. */
export const meanings: Readonly<Record<CrashClass, string>> = {
  sysrq: 'somebody asked for it by sysrq, so this is a test or a deliberate crash, and its capture works',
  'null-pointer': 'it followed a pointer that was NULL',
  'bad-address': 'it used an address at which nothing is mapped, or may not be used so',
  'protection-fault': 'it used an address that cannot be, or an instruction that it may not',
  bug: 'it found itself in a state that its authors ruled out (BUG)',
  warning: 'it gave a warning, and is set to panic on warnings',
  'stack-overflow': 'it ran out of stack',
  'stack-corruption': 'a function found its stack overwritten',
  'divide-error': 'it divided by zero',
  'invalid-opcode': 'it came upon what is no instruction',
  'double-fault': 'a fault happened while another was being handled',
  'soft-lockup': 'a CPU was kept busy in the kernel for too long without a chance for anything else',
  'hard-lockup': 'a CPU did not even take interrupts for too long',
  'hung-task': 'a task waited for too long without being woken',
  'rcu-stall': 'a CPU or a task kept RCU waiting for too long',
  'out-of-memory': 'it ran out of memory and is set to panic then',
  'machine-check': 'the processor reported a hardware error',
  nmi: 'it was told to by a non-maskable interrupt',
  'init-died': 'the first process died',
  'no-root': 'it found no root file system or no init to start',
  panic: 'it panicked',
  none: 'it did not crash',
};

const contexts = {
  process: 'on behalf of a process',
  'kernel-thread': 'in a kernel thread',
  softirq: 'in a softirq',
  interrupt: 'in an interrupt',
  nmi: 'in a non-maskable interrupt',
  idle: 'while idle',
} as const;

function where({ task, blamed, context, panicTask }: Triage): string[] {
  if (task === null) return [];
  const who = `${task.comm ?? '?'} (pid ${task.pid ?? '?'})`;
  const other = panicTask !== null && panicTask.address !== task.address;
  const on = task.cpu === null ? '' : ` on CPU ${task.cpu}`;
  if (blamed === null) return [`The task was ${who}${on}.`];
  const at = `in ${blamed.place}${blamed.source === null ? '' : `, ${blamed.source}`}`;
  const how = context === null || other ? '' : `, ${contexts[context]}`;
  const noticed = other ? ` ${panicTask.comm ?? '?'} (pid ${panicTask.pid ?? '?'}) noticed it.` : '';
  const was = context === null || other || context === 'process' || context === 'kernel-thread';
  return [`It was ${at}${how}; ${was ? 'the task was' : 'what it interrupted was'} ${who}${on}.${noticed}`];
}

function faultSentence({ fault }: Triage): string[] {
  if (fault === null) return [];
  const did = { read: 'reading from', write: 'writing to', execute: 'executing at' }[fault.access ?? 'read'];
  const what = fault.access === null ? 'The address was' : `It was ${did}`;
  const found = fault.findings.map(({ text }) => text).join('; ');
  const values = Object.entries(fault.operand?.registers ?? {}).map(
    ([name, value]) => `${name} was ${value}`,
  );
  const formed =
    fault.operand === null ? '' : ` The address was formed as ${fault.operand.text}: ${values.join(', ')}.`;
  return [`${what} ${fault.address} (${found}).${formed}`];
}

function fileSentence({ objects }: Triage): string[] {
  const files = [...new Set(objects.flatMap(({ cache, text }) => (cache === 'filp' && text ? [text] : [])))];
  return files.length === 0 ? [] : [`Its stack leads to ${listed(files.slice(0, 3))}.`];
}

function moduleSentence({ taintedModules, lastUnloaded, fault, blamed }: Triage): string[] {
  const sentences: string[] = [];
  if (blamed?.module) sentences.push(`The code is of the module ${blamed.module}.`);
  if (taintedModules.length > 0) {
    const modules = taintedModules.slice(0, 5).map(({ name, taints }) => `${name} (${taints})`);
    sentences.push(`Modules that taint the kernel: ${listed(modules)}.`);
  }
  if (lastUnloaded !== null && !fault?.findings.some(({ kind }) => kind === 'former-module'))
    sentences.push(`The module unloaded last was ${lastUnloaded}.`);
  return sentences;
}

const listed = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;

const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;

const seconds = (value: number): string =>
  value < 600
    ? `${value.toFixed(1)} s`
    : value < 36_000
      ? `${Math.round(value / 60)} minutes`
      : value < 4 * 86_400
        ? `${Math.round(value / 3600)} hours`
        : `${Math.round(value / 86_400)} days`;
