import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { KdumpError } from '../../../lib/errors.ts';
import { progressLine } from '../../../lib/progress.ts';
import { type Capture, currentResult, isOver, promiseToWrite, sampleMemory, writeState } from '../context.ts';
import type { CollectHooks } from '../machine.ts';
import { toJson } from '../report.ts';
import type { DumpOutput } from '../targets/target.ts';
import { copyVmcore } from '../vmcore.ts';
import { collectBound, smallFileBound, streamPatience } from './bounds.ts';
import { leastFree, mebibytes } from './reaching.ts';

/** A console at 115200 baud is slower than the collector: a line of progress every few seconds is enough. */
const secondsBetweenLines = 5;
const secondsBetweenSamples = 1;
/** Writing everything to a server and waiting for it costs time: not too often. */
const secondsBetweenChecks = 30;
/** The step that writes, in the words of the collector and of the plain copy. */
const writingLabel = /^Copying/;

/** Writes the dump: to its name only when all of it is there. */
export function collect(capture: Capture): void {
  const { config, machine, report, log } = capture;
  const target = capture.target!;
  const result = currentResult(capture);
  const began = machine.uptime();
  log.say(`collecting with ${report.collector} to ${target.name}`);
  result.state = 'incomplete';
  const output = target.openDump();
  const copied = { done: 0, total: 0 };
  const measure = (): void => {
    result.bytes = bytesThere(output);
    if (result.bytes !== null && copied.done > 0)
      result.expected = Math.round((result.bytes * copied.total) / copied.done);
  };
  try {
    report.report = collectTo(capture, output, collectHooks(capture, copied, measure));
    machine.promise(Math.max(collectBound, streamPatience(config) + smallFileBound));
    const dump = target.finishDump();
    Object.assign(result, { state: 'complete', expected: dump.bytes, ...dump });
    report.state = 'complete';
    capture.saved = true;
    log.say(`saved ${dump.file ?? 'the dump'} (${mebibytes(dump.bytes)} MiB)`);
  } catch (error) {
    target.makeRoom();
    measure();
    throw error;
  } finally {
    result.seconds = Math.round((machine.uptime() - began) * 100) / 100;
  }
}

function collectTo(capture: Capture, output: DumpOutput, hooks: CollectHooks): unknown {
  const { config, machine, tools, target } = capture;
  const { vmcore } = machine.boot;
  const [program, ...options] = config.coreCollector;
  if (program !== 'makedumpfile') return copyVmcore(vmcore, output, hooks);
  const space = config.minFree === null ? null : target!.space();
  // A dump that has come so far ends as a full disk ends it: readable, and marked incomplete.
  const limit = space === null ? undefined : Math.max(1, Math.floor(space.free - leastFree(capture)));
  try {
    return output.kind === 'file'
      ? tools.collect([...options, vmcore, output.path], hooks, { limit })
      : tools.collect([...options, vmcore, target!.name], hooks, { limit, stream: output.stream.write });
  } catch (error) {
    if (limit === undefined || !(error instanceof KdumpError) || error.code !== 'no-space') throw error;
    throw new KdumpError(
      'min-free',
      `${target!.name} has no room for the whole dump: ${mebibytes(leastFree(capture))} MiB are to be left (min_free)`,
      { fix: 'Make room on the target, or lower min_free.', facts: { limit }, cause: error },
    );
  }
}

function bytesThere(output: DumpOutput): number | null {
  if (output.kind === 'stream') return output.stream.bytes;
  try {
    return statSync(output.path).size;
  } catch {
    return null;
  }
}

/**
 * @param copied is told how far the writing has come, in the collector's own unit
 * @param measure notes how much is there, for the run after one that is killed
 */
function collectHooks(
  capture: Capture,
  copied: { done: number; total: number },
  measure: () => void,
): CollectHooks {
  const { config, machine, log } = capture;
  const bound = config.stallSeconds === null ? collectBound : config.stallSeconds + smallFileBound / 2;
  let lastLine = machine.uptime();
  let lastSample = lastLine;
  let lastCheck = lastLine;
  let label = '';
  let labelBegan = lastLine;
  let lines = 0;
  return {
    progress(current, done, total) {
      const now = machine.uptime();
      if (current !== label) {
        label = current;
        labelBegan = now;
      }
      if (writingLabel.test(current)) {
        copied.done = done;
        copied.total = total;
      }
      if (now - lastSample < secondsBetweenSamples) return;
      lastSample = now;
      if (isOver(capture))
        throw new KdumpError('deadline', 'the time for the whole capture is over (capture_deadline)', {
          fix: 'Allow more time, or leave out more pages (makedumpfile -d).',
        });
      promiseToWrite(capture, bound);
      sampleMemory(capture);
      if (now - lastCheck >= secondsBetweenChecks) {
        capture.target!.checkDump();
        lastCheck = machine.uptime();
      }
      if (now - lastLine < secondsBetweenLines) return;
      lastLine = now;
      measure();
      writeState(capture, 'collect');
      log.say(progressLine(label, done, total, now - labelBegan, lines++).replace('\r', ''));
    },
    message(text) {
      for (const line of text.split('\n')) if (line.trim() !== '') log.say(line);
    },
  };
}

/** From here on the directory says by itself that it holds a whole dump, whatever happens to the rest of the capture. */
export function seal({ target, report }: Capture): void {
  target!.makeRoom();
  report.files = target!.files();
  target!.writeFile('dump.json', toJson(report));
}

/** A checksum is worth a minute. */
const checksumBound = 60;
const pieceBytes = 4 << 20;

/** Reads a file back that was written out of order, for its checksum. A slow disk is spared that. */
export function addChecksum(capture: Capture): void {
  const { machine, log, deadline, target } = capture;
  const result = currentResult(capture);
  const path = target!.pathOf(result.file!);
  if (result.sha256 !== null || path === null) return;
  const until = Math.min(machine.uptime() + checksumBound, deadline ?? Number.POSITIVE_INFINITY);
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(pieceBytes);
  const fd = openSync(path, 'r');
  try {
    for (let got = readSync(fd, piece); got > 0; got = readSync(fd, piece)) {
      hash.update(piece.subarray(0, got));
      if (machine.uptime() < until) continue;
      log.say(`no checksum: reading ${result.file} takes more than ${checksumBound} s`);
      return;
    }
  } finally {
    closeSync(fd);
  }
  result.sha256 = hash.digest('hex');
}

/** Older dumps go only now that this one is safe. */
export function retain({ config, machine, tools, target, report, log }: Capture): void {
  const directory = target!.localDirectory;
  if (directory === null) return;
  report.removed = tools.retain(directory, config.retention, machine.now());
  if (report.removed.length > 0) log.say(`removed older dumps: ${report.removed.join(', ')}`);
}

export const hasRetention = ({ config: { retention } }: Capture): boolean =>
  Object.values(retention).some((bound) => bound !== null);
