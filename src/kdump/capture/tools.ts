import { type CollectReport, collect } from '../../dump/collect.ts';
import { extractDmesg } from '../../dump/dmesg.ts';
import { level } from '../../dump/filter/kinds.ts';
import type { CollectRequest } from '../../dump/request.ts';
import { KdumpError } from '../../lib/errors.ts';
import { listDumps } from '../dumps/list.ts';
import { removeDumps, spaceOf } from '../dumps/remove.ts';
import { planRetention } from '../dumps/retention.ts';
import { collectRequest } from './collector-words.ts';
import { makeReport, type ReportProgram } from './crash-report.ts';
import type { CaptureTools, CollectHooks } from './machine.ts';
import { paths } from './paths.ts';

/**
 * Our own collector, as the capture uses it: no process of its own, its report as a value; and the report of the crash,
 * by a process of its own.
 */
export const captureTools: CaptureTools = {
  extractDmesg,
  makeReport: (...args) => makeReport(reportProgram(), ...args),
  collect(argv, hooks, { stream, limit = Number.POSITIVE_INFINITY }) {
    const request = collectRequest(argv);
    const least = Math.min(request.limit ?? Number.POSITIVE_INFINITY, limit);
    return collectWhatever(
      {
        ...request,
        target: stream === undefined ? request.target : { kind: 'stream', output: stream },
        limit: Number.isFinite(least) ? least : undefined,
      },
      hooks,
    );
  },
  retain(directory, retention, now) {
    const dumps = planRetention(listDumps(directory), retention, spaceOf(directory), now.getTime());
    removeDumps(dumps);
    return dumps.map(({ name }) => name);
  },
};

/** In an initramfs of another builder's, node is started by its loader, which then counts as what this process runs. */
function reportProgram(): ReportProgram {
  const { execPath } = process;
  const isNode = execPath === paths.node;
  return {
    node: isNode ? [paths.node] : [execPath, '--library-path', paths.libraries, paths.node],
    bundle: paths.crashReport,
  };
}

/**
 * Collects at the level that was asked for, or at what is possible: the command refuses to filter a vmcore that does
 * not describe itself, but a crash cannot be repeated.
 */
function collectWhatever(request: CollectRequest, hooks: CollectHooks): CollectReport {
  try {
    return collect(request, hooks);
  } catch (error) {
    if (!(error instanceof KdumpError) || error.code !== 'no-vmcoreinfo') throw error;
    const dumpLevel = (request.dumpLevels[0] ?? 0) & level.zero;
    hooks.message(`${error.message}: saving every page instead, at dump level ${dumpLevel}`);
    return collect({ ...request, dumpLevels: [dumpLevel] }, hooks);
  }
}
