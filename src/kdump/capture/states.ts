import { type Capture, isOver } from './context.ts';
import * as after from './steps/after.ts';
import * as before from './steps/before.ts';
import { collectBound, hookBound, reportSeconds, smallFileBound } from './steps/bounds.ts';
import * as collecting from './steps/collecting.ts';
import { tellHome } from './steps/home.ts';
import * as reaching from './steps/reaching.ts';
import * as recording from './steps/recording.ts';
import * as reporting from './steps/reporting.ts';

/** One state of a capture: what is done there, how long it may be silent, and what follows. */
export type State = {
  readonly run: (capture: Capture) => void | Promise<void>;
  /** Seconds without a sign of life after which it counts as stuck. */
  readonly bound: number;
  /** It is passed over, as if it had gone well, when this does not hold. */
  readonly when?: (capture: Capture) => boolean;
  readonly ok: Following;
  /** What follows when it fails; the same when absent. */
  readonly failed?: Following;
};
type Following = StateName | ((capture: Capture) => StateName);

export type StateName =
  | 'identify'
  | 'network'
  | 'fence'
  | 'pre'
  | 'next'
  | 'reach'
  | 'directory'
  | 'resume'
  | 'marker'
  | 'dmesg'
  | 'report'
  | 'room'
  | 'collect'
  | 'seal'
  | 'checksum'
  | 'retain'
  | 'post'
  | 'emergency'
  | 'rootfs'
  | 'shell'
  | 'notify'
  | 'record'
  | 'home'
  | 'leave'
  | 'end';

const isReal = ({ machine }: Capture): boolean => !machine.boot.rehearsal;
/** Where a target has not got the dump: to the next one, as long as there is one and time for it. */
const elsewhere = (capture: Capture): StateName => {
  const { config, current, refused } = capture;
  if (isRootfs(capture)) return 'notify';
  return current + 1 < config.targets.length && !refused && !isOver(capture) ? 'next' : 'post';
};
const isRootfs = ({ config, current }: Capture): boolean => current >= config.targets.length;
const afterReport = ({ collects }: Capture): StateName => (collects ? 'room' : 'post');
const afterPost = ({ saved, refused }: Capture): StateName => (saved || refused ? 'notify' : 'emergency');
const afterEmergency = (capture: Capture): StateName => {
  const { failureAction, rootfs } = capture.config;
  if (failureAction === 'shell') return 'shell';
  const goes = failureAction === 'dump_to_rootfs' && rootfs !== null && capture.collects && !isOver(capture);
  return goes ? 'rootfs' : 'notify';
};
const isRemembered = ({ directory }: Capture): boolean => directory !== null;

/**
 * The capture, as a table. What is small comes first (a marker, the crashed kernel's log, the report), then the dump,
 * on the first target that takes it; whatever happens on the way, `record` writes down how it went and the machine goes on.
 */
export const states: Readonly<Record<Exclude<StateName, 'end'>, State>> = {
  identify: { run: before.identifyCrash, bound: smallFileBound, ok: 'network' },
  network: {
    run: before.bringUpNetwork,
    bound: smallFileBound,
    when: ({ config }) => config.network !== null,
    ok: 'fence',
  },
  fence: {
    run: before.sendFence,
    bound: smallFileBound,
    when: (capture) => capture.config.fence !== null && isReal(capture),
    ok: 'pre',
  },
  pre: {
    run: before.runPreHooks,
    bound: hookBound,
    when: (capture) => capture.config.hooks.pre.length > 0 && isReal(capture),
    ok: 'next',
  },
  next: { run: reaching.takeNext, bound: smallFileBound, ok: 'reach' },
  reach: {
    run: reaching.reachTarget,
    bound: collectBound,
    ok: (capture) => (isRemembered(capture) ? 'resume' : 'directory'),
    failed: elsewhere,
  },
  directory: { run: reaching.makeDirectory, bound: smallFileBound, ok: 'marker', failed: elsewhere },
  resume: {
    run: reaching.takeUpDirectory,
    bound: smallFileBound,
    // What has ended a capture once is not tried again.
    ok: (capture) => {
      if (!capture.report.steps.some(({ name }) => name === 'dmesg')) return 'dmesg';
      return capture.collects ? 'report' : 'post';
    },
    failed: 'directory',
  },
  marker: { run: reaching.writeMarker, bound: smallFileBound, ok: 'dmesg' },
  dmesg: {
    run: reaching.saveDmesg,
    bound: collectBound,
    ok: 'report',
  },
  report: {
    run: reporting.saveReport,
    bound: reportSeconds + smallFileBound,
    when: reporting.wantsReport,
    ok: afterReport,
  },
  room: { run: reaching.checkRoom, bound: smallFileBound, ok: 'collect', failed: elsewhere },
  collect: { run: collecting.collect, bound: collectBound, ok: 'seal', failed: elsewhere },
  seal: { run: collecting.seal, bound: smallFileBound, ok: 'checksum' },
  checksum: { run: collecting.addChecksum, bound: smallFileBound, ok: 'retain' },
  retain: {
    run: collecting.retain,
    bound: collectBound,
    when: collecting.hasRetention,
    ok: (capture) => (isRootfs(capture) ? 'notify' : 'post'),
  },
  post: {
    run: after.runPostHooks,
    bound: hookBound,
    when: (capture) => capture.config.hooks.post.length > 0 && isReal(capture),
    ok: afterPost,
  },
  emergency: {
    run: after.runEmergencyHooks,
    bound: hookBound,
    when: (capture) => capture.config.hooks.emergency.length > 0 && isReal(capture),
    ok: afterEmergency,
  },
  rootfs: { run: reaching.takeRootfs, bound: smallFileBound, ok: 'reach' },
  shell: { run: after.openShell, bound: hookBound, when: isReal, ok: 'notify' },
  notify: {
    run: after.notify,
    bound: hookBound,
    when: (capture) => capture.config.notifications.length > 0 && isReal(capture),
    ok: 'record',
  },
  record: { run: recording.record, bound: smallFileBound, ok: 'home' },
  home: {
    run: tellHome,
    bound: smallFileBound,
    // What has ended a capture once is not tried again.
    when: ({ config, report }) => config.home !== null && !report.steps.some(({ name }) => name === 'home'),
    ok: 'leave',
  },
  leave: { run: recording.leave, bound: smallFileBound, ok: 'end' },
};
