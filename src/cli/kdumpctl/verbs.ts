import type { VerbModule } from './verb.ts';

export type Verb = {
  /** What may follow the verb, for help and man page. */
  readonly usage: string;
  readonly summary: string;
  readonly load: () => Promise<VerbModule>;
};

/** Verbs for packages, not for people; the names are kdump-utils'. */
export const internalVerbs: Readonly<Record<string, Pick<Verb, 'load'>>> = {
  '_reset-crashkernel-after-update': { load: () => import('./renew-crashkernel.ts') },
  '_reset-crashkernel-for-installed_kernel': { load: () => import('./equip-new-kernel.ts') },
};

/** Every verb of kdumpctl, loaded when it is asked for. */
export const verbs: Readonly<Record<string, Verb>> = {
  start: {
    usage: '[--early] [--json]',
    summary:
      'Arms the machine with what the settings say: builds the capture image when there is none of that content, and loads it when something else, or nothing, is loaded.',
    load: () => import('./start.ts'),
  },
  stop: {
    usage: '[--json]',
    summary: 'Unloads the crash kernel.',
    load: () => import('./stop.ts'),
  },
  restart: {
    usage: '[--json]',
    summary: 'As start, but loads in any case, over what is loaded: the machine stays armed.',
    load: () => import('./restart.ts'),
  },
  reload: {
    usage: '[--json]',
    summary: 'The same as restart.',
    load: () => import('./restart.ts'),
  },
  status: {
    usage: '[--json]',
    summary:
      'Tells whether a crash kernel is loaded, and of each thing that a capture depends on whether it is as it should be; and how the last boot ended, when that was in a crash, or without a shutdown. Exit status 0 when one is loaded, 3 when not.',
    load: () => import('./status.ts'),
  },
  rebuild: {
    usage: '[--json]',
    summary: 'Builds the capture image anew, and loads nothing.',
    load: () => import('./rebuild.ts'),
  },
  showmem: {
    usage: '[--json]',
    summary: 'Tells how much memory is reserved for the crash kernel.',
    load: () => import('./showmem.ts'),
  },
  estimate: {
    usage: '[--json]',
    summary:
      'Tells how much memory a capture needs, item by item, how large a dump would be now, and how much is free on the targets that can be seen from here.',
    load: () => import('./estimate.ts'),
  },
  'get-default-crashkernel': {
    usage: '[kdump]',
    summary: 'Prints the crashkernel= that suits this machine.',
    load: () => import('./get-default-crashkernel.ts'),
  },
  'reset-crashkernel': {
    usage: '[--kernel=FILE|ALL] [--dry-run] [--json]',
    summary:
      "Writes that crashkernel= to the boot loader's settings: by rpm-ostree or grubby, in boot entries, or in GRUB's own.",
    load: () => import('./reset-crashkernel.ts'),
  },
  'save-raw': {
    usage: '',
    summary: 'Saves the dump that a raw partition holds as a file, which start does as well.',
    load: () => import('./save-raw.ts'),
  },
  test: {
    usage: '[--force]',
    summary:
      'Crashes this machine, after a question, to see whether that is saved. The next boot looks for the dump, and status tells how it went.',
    load: () => import('./test.ts'),
  },
  rehearse: {
    usage: '[--memory=SIZE] [--kvm] [--timeout=SECONDS] [--json]',
    summary:
      'Crashes a virtual machine that has the kernel, the capture image and the reserved memory of this one, and tells whether that is saved and how much memory it takes. Exit status 1 when not.',
    load: () => import('./rehearse.ts'),
  },
  target: {
    usage: 'test [--timeout=SECONDS] [--json]',
    summary:
      'Tries every target as a capture uses it: mounts it or logs in, writes, syncs, renames, reads back and deletes. One that does not answer in time (300 s) does not work. Exit status 1 when one does not work.',
    load: () => import('./target.ts'),
  },
  propagate: {
    usage: '',
    summary:
      'Lets the capture log in to the ssh targets: makes a key when there is none, has it accepted, and pins the key of the host.',
    load: () => import('./propagate.ts'),
  },
  list: {
    usage: '[--directory=DIR] [--json]',
    summary:
      'Lists the saved dumps, the oldest first. Those on other machines are known by the accounts that captures leave in /var/lib/kdump/crashes.',
    load: () => import('./list.ts'),
  },
  show: {
    usage: '[DUMP] [--directory=DIR] [--lines=NUMBER] [--json]',
    summary:
      'Tells of a dump what happened, how it was saved and how the log ends; of the newest when none is named.',
    load: () => import('./show.ts'),
  },
  notify: {
    usage: '[--dry-run]',
    summary:
      'Tells those whom the settings name (notify boot ...) of dumps that they were not told of, and looks how a test went. The service does so at boot.',
    load: () => import('./notify.ts'),
  },
  config: {
    usage: 'show|check|get|set|unset|schema',
    summary: 'Shows, checks and changes the settings. Exit status 1 when there is an error in them.',
    load: () => import('./config.ts'),
  },
};
