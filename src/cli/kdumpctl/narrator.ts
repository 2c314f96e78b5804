import type { EffectiveSettings } from '../../kdump/config/effective.ts';
import { type Priority, toKernelLog, toSystemLog } from '../../system/system-log.ts';

/** What the service says while it works, as opposed to answers that somebody has asked for. */
export type Narrator = Readonly<Record<Priority, (text: string) => void>>;

type Channel = (priority: Priority, text: string) => void;
export type Channels = Readonly<Record<keyof EffectiveSettings['logLevels'], Channel>>;

const machineChannels: Channels = {
  std: (priority, text) => {
    const stream = priority === 'info' ? process.stdout : process.stderr;
    stream.write(`kdump: ${priority === 'warning' ? 'warning: ' : ''}${text}\n`);
  },
  syslog: (priority, text) => toSystemLog('kdump', priority, text),
  kmsg: (priority, text) => toKernelLog('kdump', priority, text),
};

/** From which level on something is said; kdump-utils has one more, for debugging. */
const levelOf: Readonly<Record<Priority, number>> = { error: 1, warning: 2, info: 3 };

/** Says on each channel what its level lets through: KDUMP_STDLOGLVL and its like. */
export function narrator(
  levels: EffectiveSettings['logLevels'],
  channels: Channels = machineChannels,
): Narrator {
  const say = (priority: Priority) => (text: string) => {
    for (const name of ['std', 'syslog', 'kmsg'] as const)
      if (levels[name] >= levelOf[priority]) channels[name](priority, text);
  };
  return { error: say('error'), warning: say('warning'), info: say('info') };
}
