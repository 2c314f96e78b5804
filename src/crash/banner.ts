import { systemFacts } from './facts.ts';
import type { Session } from './session.ts';
import { describedState } from './tasks.ts';
import { hex, shown } from './text.ts';

const label = (name: string, text: string): string => `${name.padStart(12)}: ${text}`;

/** What the shell shows at its start: the system, and the task that panicked. */
export function* bannerLines(session: Session): Generator<string> {
  yield* systemLines(session);
  const task = session.kernel.panicTask;
  // Of a kernel that runs, the one who asks.
  if (task === undefined && !session.isLive) return;
  for (const [name, text] of taskFields(session)) yield label(name, text);
}

/** The same labels in the same order as crash(8) has them. What the dump does not tell has no line. */
export function* systemLines(session: Session): Generator<string> {
  const { kernel, dump, namelist } = session;
  const facts = systemFacts(kernel, dump);
  const tainted = facts.taints !== undefined && facts.taints.mask !== 0n ? '  [TAINTED]' : '';
  yield label('KERNEL', (namelist?.path ?? inDump(session)) + tainted);
  const live = session.isLive ? '  [LIVE]' : '';
  const partial = dump.dumpLevel === undefined || dump.dumpLevel === 0 ? '' : '  [PARTIAL DUMP]';
  yield label('DUMPFILE', dump.paths.join(' ') + live + (dump.incomplete ? '  [INCOMPLETE]' : '') + partial);
  const { online, offline } = facts.cpus;
  yield label('CPUS', `${online + offline}${offline === 0 ? '' : ` [OFFLINE: ${offline}]`}`);
  if (facts.date !== undefined) yield label('DATE', dateText(facts.date));
  if (facts.uptime !== undefined) yield label('UPTIME', durationText(facts.uptime));
  if (facts.loadAverage !== undefined)
    yield label('LOAD AVERAGE', facts.loadAverage.map((load) => load.toFixed(2)).join(', '));
  yield label('TASKS', String(facts.tasks));
  if (facts.uts !== undefined) {
    yield label('NODENAME', facts.uts.nodename);
    yield label('RELEASE', facts.uts.release);
    yield label('VERSION', facts.uts.version);
    const speed = facts.megahertz === undefined ? '(unknown Mhz)' : `(${facts.megahertz} Mhz)`;
    yield label('MACHINE', `${facts.uts.machine}  ${speed}`);
  }
  if (facts.memory !== undefined) yield label('MEMORY', sizeText(facts.memory));
  if (facts.panic !== undefined)
    yield label('PANIC', `"${facts.panic}"${isOops(facts.panic) ? ' (check log for details)' : ''}`);
}

/** The lines of a task in the banner and of `set`, as label and text. */
export function* taskFields(session: Session, task = session.task): Generator<readonly [string, string]> {
  const { kernel } = session;
  const idle = task.pid === 0 ? `  (1 of ${kernel.cpus.length})` : '';
  const info = task.object.find('thread_info') === undefined ? task.stack : task.address;
  yield ['PID', shown(task.pid)];
  yield ['COMMAND', `"${shown(task.comm)}"`];
  yield ['TASK', `${hex(task.address)}${idle}  [THREAD_INFO: ${shown(info, hex)}]`];
  yield ['CPU', task.cpu === undefined ? '(unknown)' : shown(task.cpu)];
  yield ['STATE', describedState(kernel, task)];
}

const isOops = (panic: string): boolean =>
  !panic.startsWith('Kernel panic') && !panic.includes('rigger a crash');

function inDump({ kernel }: Session): string {
  const symbols = kernel.core.kallsyms?.length ?? 0;
  const types = kernel.core.btf?.length ?? 0;
  return `(in dump)  [${symbols} symbols, ${types} types]`;
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const two = (value: number): string => String(value).padStart(2, '0');

/** As date(1): 'Sat Nov 21 04:10:10 UTC 2026', in the time zone of the reader. @param seconds since the epoch */
export function dateText(seconds: number): string {
  const date = new Date(seconds * 1000);
  const zone = date.toLocaleTimeString('en-US', { timeZoneName: 'short' }).split(' ').at(-1);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  const day = String(date.getDate()).padStart(2);
  return `${days[date.getDay()]} ${months[date.getMonth()]} ${day} ${time} ${zone} ${date.getFullYear()}`;
}

/** '00:08:02', '7 days, 06:37:46'. @param seconds of any length */
export function durationText(seconds: number): string {
  const whole = Math.floor(seconds);
  const count = Math.floor(whole / 86_400);
  const time = [Math.floor((whole % 86_400) / 3600), Math.floor((whole % 3600) / 60), whole % 60]
    .map(two)
    .join(':');
  return count === 0 ? time : `${count} day${count === 1 ? '' : 's'}, ${time}`;
}

/** '511.5 MB', '48 GB': one decimal unless it is exact. */
export function sizeText(bytes: number): string {
  const [unit, name] =
    bytes >= 2 ** 30 ? [2 ** 30, 'GB'] : bytes >= 2 ** 20 ? [2 ** 20, 'MB'] : [2 ** 10, 'KB'];
  const value = bytes / unit;
  return `${Number.isInteger(value) ? value : value.toFixed(1).replace(/\.0$/, '')} ${name}`;
}
