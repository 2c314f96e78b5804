// Dumps of guests that died in many ways, filtered as a production machine's would be, kept in the cache.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cachePath, contentHash } from '../cache.ts';
import { crash } from '../crash.ts';
import { type KernelName, labKernel } from '../kernels.ts';
import { check } from '../process.ts';
import { crashingModule } from './module.ts';

const how = (word: string): string => `echo ${word} >/sys/module/kdump_lab/parameters/how`;
const set = (name: string, value: number): string => `echo ${value} >/proc/sys/kernel/${name}`;

/** What a guest does to die. The module that does it is loaded by then, and an oops is a panic. */
const deaths = {
  /** A warning that is given once, which stays in the log; then BUG() in a system call. */
  bug: [how('warn'), how('warn'), how('bug')],
  /** A member of a structure at NULL is written, 0xe8 bytes behind it. */
  null: [how('null')],
  /** The same in a timer's function. */
  softirq: [how('softirq')],
  /** The same in an interrupt on either CPU, which the other one sends. */
  'hardirq-0': ['busybox taskset -p 2 1', how('hardirq 0')],
  'hardirq-1': ['busybox taskset -p 1 1', how('hardirq 1')],
  nmi: [how('nmi 1')],
  stack: [how('stack')],
  /** A kernel thread that nobody wakes. */
  hung: [set('hung_task_timeout_secs', 3), set('hung_task_panic', 1), how('hung')],
  /** A system call that never gives its CPU away. */
  softlockup: [set('watchdog_thresh', 3), set('softlockup_panic', 1), how('spin')],
  /** A timer that outlives the module that its function is in. */
  unloaded: [how('leave'), 'busybox rmmod kdump_lab'],
} as const satisfies Record<string, readonly string[]>;

export type Death = keyof typeof deaths;
export const deathNames = Object.keys(deaths) as Death[];

/** Paths of the dump of a guest that died so, and of its log, which was saved before: not all of it gets to a console. */
export type CrashedGuest = { readonly vmcore: string; readonly log: string };

/** A dump at level 31. Taken once for a kernel and a way to die. */
export async function crashedGuest(kernel: KernelName, death: Death): Promise<CrashedGuest> {
  const { release } = await labKernel(kernel);
  const module = await crashingModule({ release });
  const key = contentHash([readFileSync(module), ...deaths[death]]);
  const directory = await cached(cachePath('crashes', `${release}-${death}-${key}`), async (incomplete) => {
    const result = await crash({
      kernel,
      collector: 'makedumpfile -l -d 31',
      diskFiles: { 'lab/kdump_lab.ko': module },
      beforeCrash: [
        'busybox insmod /disk/lab/kdump_lab.ko || finish "failed: the module does not load"',
        set('panic_on_oops', 1),
        'touch /disk/lab/armed; sync; say "crashing"',
        ...deaths[death],
        'sleep 60; finish "failed: the kernel did not crash"',
      ].join('\n'),
    });
    try {
      const saved = result.dumpDirectory;
      if (saved === undefined || !existsSync(join(saved, 'vmcore')))
        throw result.console.error('the guest saved no whole vmcore');
      await check('cp', ['-r', saved, incomplete]);
    } finally {
      result.remove();
    }
  });
  return { vmcore: join(directory, 'vmcore'), log: join(directory, 'vmcore-dmesg.txt') };
}
