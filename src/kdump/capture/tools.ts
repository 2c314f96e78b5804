import { type CollectReport, collect } from '../../dump/collect.ts';
import { extractDmesg } from '../../dump/dmesg.ts';
import { level } from '../../dump/filter/kinds.ts';
import type { CollectRequest } from '../../dump/request.ts';
import { KdumpError } from '../../lib/errors.ts';
import { listDumps } from '../dumps/list.ts';
import { removeDumps, spaceOf } from '../dumps/remove.ts';
import { planRetention } from '../dumps/retention.ts';
import { collectRequest } from './collector-words.ts';
import type { CaptureTools, CollectHooks } from './machine.ts';

/** Our own collector, as the capture uses it: no process of its own, its report as a value. */
export const captureTools: CaptureTools = {
  extractDmesg,
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
