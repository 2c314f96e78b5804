import { captureDefaults } from '../capture/config.ts';
import { describeTarget, readKindAndTarget, type Target } from './target.ts';
import * as types from './types.ts';

/** One directive of kdump.conf. */
export type Directive<T = unknown, D = T | null> = {
  readonly type: types.ValueType<T>;
  /** What holds without the directive; null: nothing. For a repeatable directive always the empty list. */
  readonly default: D;
  /** For man page, schema and help: sentences, without markup. */
  readonly doc: string;
  /** kdump-utils: as in the original; kdump-tools: ours; off unless it is given, but for report. */
  readonly since: 'kdump-utils' | 'kdump-tools';
  /** What runs after the crash depends on it, so that a change makes a new image. */
  readonly capture: boolean;
  /** May stand on several lines; their order counts. */
  readonly repeatable?: boolean;
};

const one = <T, const D extends T | null>(directive: Directive<T, D>): Directive<T, D> => directive;
const many = <T>(directive: Omit<Directive<T>, 'default'>) => ({
  ...directive,
  default: [] as readonly T[],
  repeatable: true as const,
});

const original = { since: 'kdump-utils', capture: true } as const;
const atArming = { since: 'kdump-utils', capture: false } as const;
const ours = { since: 'kdump-tools', capture: true } as const;

const failureActions = types.choice('reboot', 'halt', 'poweroff', 'shell', 'dump_to_rootfs');
const finalActions = types.choice('reboot', 'halt', 'poweroff');
const nodeName = /^[\w.:%[\]-]+$/;
const moduleName = /^[\w.=/+-]+$/;
const target: types.ValueType<Target> = {
  syntax: 'KIND VALUE',
  read: readKindAndTarget,
  write: describeTarget,
};

/** Every directive but those that name the target (target.ts), in the order of the man page. */
export const directives = {
  path: one({
    type: types.directory,
    default: captureDefaults.path,
    doc: 'Directory in which dumps are kept, each in a directory of its own. With a target it is seen from the root of that target; without one it is a directory of this machine, and the target is the file system on which it lies. Does not matter for raw.',
    ...original,
  }),
  core_collector: one({
    type: types.words('COMMAND [OPTION]...'),
    default: captureDefaults.coreCollector.split(' '),
    doc: 'What copies the memory of the crashed kernel: makedumpfile with its options, or cp; scp where the target is ssh. The option -F is added where the target is a stream (ssh, raw) and left out where it is a file.',
    ...original,
  }),
  sshkey: one({
    type: types.path,
    default: '/root/.ssh/kdump_id_rsa',
    doc: 'Private key for the ssh target. When the file does not exist, the default is used and a warning given.',
    ...original,
  }),
  kdump_pre: one({
    type: types.program,
    default: null,
    doc: 'Program that runs before the dump is written. When it fails, no dump is written and the final action follows. The executables in /etc/kdump/pre.d run after it.',
    ...original,
  }),
  kdump_post: one({
    type: types.program,
    default: null,
    doc: 'Program that runs after the dump was written or has failed; its first argument is the exit status of the dump. The executables in /etc/kdump/post.d run before it.',
    ...original,
  }),
  kdump_emergency: one({
    type: types.program,
    default: null,
    doc: 'Program that runs when the dump has failed, before the failure action. The executables in /etc/kdump/emergency.d run before it.',
    ...original,
  }),
  extra_bins: one({
    type: types.words('PROGRAM...', /^\/[^\0-\x1f]*$/),
    default: [],
    doc: 'More programs or scripts for the capture image, for the hooks to use.',
    ...original,
  }),
  extra_modules: one({
    type: types.words('MODULE...', moduleName),
    default: [],
    doc: 'More kernel modules for the capture image, loaded there; what they depend on comes with them.',
    ...original,
  }),
  failure_action: one({
    type: failureActions,
    default: 'reboot',
    doc: 'What happens when no dump could be written: reboot, halt or poweroff the machine, open a shell on its console, or write the dump to the root file system (dump_to_rootfs).',
    ...original,
  }),
  final_action: one({
    type: finalActions,
    default: 'reboot',
    doc: 'What happens in the end: after a good dump, and after the failure actions shell and dump_to_rootfs.',
    ...original,
  }),
  auto_reset_crashkernel: one({
    type: types.yesNo,
    default: true,
    doc: 'Whether an update of this package may change a crashkernel= of the boot loader that still is exactly its older default. A value that somebody has chosen stays.',
    ...atArming,
  }),
  force_rebuild: one({
    type: types.zeroOne,
    default: false,
    doc: '1: the capture image is built anew at every start, whether or not anything has changed.',
    ...atArming,
  }),
  force_no_rebuild: one({
    type: types.zeroOne,
    default: false,
    doc: '1: an existing capture image is kept whatever has changed. Excludes force_rebuild 1.',
    ...atArming,
  }),
  dracut_args: one({
    type: types.words('ARGUMENT...'),
    default: [],
    doc: 'More arguments for dracut. At most one --mount "DEVICE DIRECTORY FSTYPE OPTIONS" among them, which then is the target.',
    ...original,
  }),
  fence_kdump_args: one({
    type: types.words('ARGUMENT...'),
    default: [],
    doc: 'Arguments for fence_kdump_send, without the nodes.',
    ...original,
  }),
  fence_kdump_nodes: one({
    type: types.words('NODE...', nodeName),
    default: [],
    doc: 'Nodes of the cluster that are told that this machine is being dumped; not this machine itself.',
    ...original,
  }),
  fallback_target: many({
    type: target,
    doc: 'Where the dump goes when the target before it cannot be written: a target directive with its value (nfs SERVER:/EXPORT), or directory DIRECTORY for the file system on which a directory of this machine lies. Several lines are tried in their order.',
    ...ours,
  }),
  retain_count: one({
    type: types.count,
    default: null,
    doc: 'So many dumps are kept. Older ones are removed after a dump was saved, never before; of a series of crashes the first and the last stay. 0: all are kept.',
    ...ours,
  }),
  retain_bytes: one({
    type: types.size,
    default: null,
    doc: 'All dumps together take at most so much space.',
    ...ours,
  }),
  retain_free: one({
    type: types.percent,
    default: null,
    doc: 'Older dumps are removed until this share of the file system is free.',
    ...ours,
  }),
  retain_age: one({
    type: types.duration,
    default: null,
    doc: 'Dumps older than this are removed.',
    ...ours,
  }),
  min_free: one({
    type: types.space,
    default: null,
    doc: 'Space that must be left on the target when the dump is written; without it only the log and the report are saved there, and the next target is tried.',
    ...ours,
  }),
  report: one({
    type: types.yesNo,
    default: captureDefaults.report,
    doc: 'Whether the capture kernel tells what happened, in report.json and report.html, before it writes the dump. It takes some 30 MiB of memory for as long as that takes, a minute at most; where there is less, or it fails, the dump is written without it. no leaves its program out of the capture image.',
    ...ours,
  }),
  capture_deadline: one({
    type: types.duration,
    default: null,
    doc: 'The whole capture may take so long; then what was saved is made durable and the machine goes on to its failure action.',
    ...ours,
  }),
  stall_timeout: one({
    type: types.duration,
    default: null,
    doc: 'A target that takes no byte for so long counts as gone, and the next one is tried.',
    ...ours,
  }),
  notify: many({
    type: types.notification,
    doc: 'Who is told about a dump, and when: capture, in the crash kernel as soon as the result is known, or boot, when the machine is up again. exec runs a program with the result as JSON on its standard input; post sends the same to a URL. A failure is written to the log and changes nothing. Several lines are all carried out.',
    ...ours,
  }),
  image_builder: one({
    type: types.choice('own', 'dracut', 'initramfs-tools'),
    default: 'own',
    doc: 'What builds the capture image: our own builder, for targets that need no more than drivers; dracut, for LVM, multipath, iSCSI and whatever else it has a module for; or initramfs-tools. On an encrypted volume (LUKS) no dump can be written where somebody would have to type its passphrase: arming fails then, unless crypttab(5) names a key for it and the builder is not our own.',
    ...ours,
  }),
};

export type DirectiveName = keyof typeof directives;
export const directiveNames = Object.keys(directives) as DirectiveName[];
export const isDirective = (name: string): name is DirectiveName => Object.hasOwn(directives, name);

type SettingOf<E> = E extends { type: types.ValueType<infer T>; repeatable: true }
  ? readonly T[]
  : E extends Directive<infer T, infer D>
    ? T | D
    : never;
/** The value of every directive. */
export type Settings = { readonly [N in DirectiveName]: SettingOf<(typeof directives)[N]> };

/** The table as one type, for code that goes through all of it. */
export const anyDirective = (name: DirectiveName): Directive => directives[name] as unknown as Directive;

/** What older releases of the original knew: refused, with where the need is met today. */
export const removedDirectives: Readonly<Record<string, string>> = {
  net: 'Write "nfs SERVER:/EXPORT" or "ssh USER@HOST".',
  options: 'Give the options of a module in KDUMP_COMMANDLINE_APPEND, as MODULE.OPTION=VALUE.',
  link_delay: 'Leave the line out: the capture waits for the link by itself.',
  disk_timeout: 'Write rd.timeout=SECONDS to KDUMP_COMMANDLINE_APPEND where dracut builds the image.',
  debug_mem_level: 'Write rd.memdebug=LEVEL to KDUMP_COMMANDLINE_APPEND where dracut builds the image.',
  blacklist: 'Write modprobe.blacklist=MODULE to KDUMP_COMMANDLINE_APPEND, or dracut_args --omit-drivers.',
};
/** Old names that still work. */
export const renamedDirectives: Readonly<Record<string, DirectiveName>> = { default: 'failure_action' };

/** What a target directive is, for man page and schema. */
export const targetDocs = {
  raw: [
    'DEVICE',
    'The dump is written to the partition itself, which loses what it holds. Saved as a file at the next boot.',
  ],
  nfs: ['SERVER:/EXPORT', 'An NFS export. An IPv6 address stands in brackets.'],
  ssh: ['USER@HOST', 'The account of another machine, reached with the key that sshkey names.'],
  ext2: ['DEVICE|UUID=...|LABEL=...', 'A file system of this type.'],
  ext3: ['DEVICE|UUID=...|LABEL=...', 'A file system of this type.'],
  ext4: ['DEVICE|UUID=...|LABEL=...', 'A file system of this type.'],
  minix: ['DEVICE|UUID=...|LABEL=...', 'A file system of this type.'],
  btrfs: ['DEVICE|UUID=...|LABEL=...', 'A file system of this type.'],
  xfs: ['DEVICE|UUID=...|LABEL=...', 'A file system of this type.'],
  virtiofs: ['TAG', 'A directory that the host of a virtual machine shares.'],
} as const satisfies Record<string, readonly [syntax: string, doc: string]>;
