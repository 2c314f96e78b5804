import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CaptureConfig } from '../../../../src/kdump/capture/config.ts';
import type { ReportBounds } from '../../../../src/kdump/capture/crash-report.ts';
import { runAfterFailure, runCapture } from '../../../../src/kdump/capture/flow.ts';
import type { CaptureTools } from '../../../../src/kdump/capture/machine.ts';
import { stalledWords } from '../../../../src/kdump/capture/paths.ts';
import { KdumpError } from '../../../../src/lib/errors.ts';
import { device, type Fake, fakeMachine, name, config as plain, summary } from '../fake-machine.ts';

const config: CaptureConfig = { ...plain, report: true };
const two: CaptureConfig = { ...config, targets: [device('vda'), device('vdb')] };

let fake: Fake;
let calls: ReportBounds[];
beforeEach(() => {
  fake = fakeMachine();
  calls = [];
  const { makeReport } = fake.tools;
  fake.tools = {
    ...fake.tools,
    makeReport: (vmcore, directory, bounds, meanwhile) => {
      calls.push(bounds);
      makeReport(vmcore, directory, bounds, meanwhile);
    },
  };
});
afterEach(() => fake.remove());

const run = (settings = config, tools: Partial<CaptureTools> = {}) =>
  runCapture(settings, fake.machine, { ...fake.tools, ...tools });
const stepsOf = ({ report }: Awaited<ReturnType<typeof run>>): string[] =>
  report.steps.map((step) => step.name);

it('lies beside the log before the dump is begun, for its owner alone', async () => {
  let before: string[] = [];
  const outcome = await run(config, {
    collect: (argv, hooks, to) => {
      before = readdirSync(fake.dump());
      return fake.tools.collect(argv, hooks, to);
    },
  });
  expect(before).toEqual(expect.arrayContaining(['report.html', 'report.json', 'vmcore-dmesg.txt']));
  expect(statSync(fake.dump('report.html')).mode & 0o777).toBe(0o600);
  expect(stepsOf(outcome).filter((step) => ['dmesg', 'report', 'collect'].includes(step))).toEqual([
    'dmesg',
    'report',
    'collect',
  ]);
  expect(fake.dumpJson()).toMatchObject({ state: 'complete', summary, errors: [] });
});

it('sends nothing to the console that a terminal would obey', async () => {
  await run(config, {
    makeReport: (_vmcore, directory) => {
      mkdirSync(directory);
      writeFileSync(join(directory, 'report.json'), JSON.stringify({ summary: 'the task was \x1b[2J' }));
      writeFileSync(join(directory, 'report.html'), '');
    },
  });
  expect(fake.lines.join('\n')).toContain('the task was \\x1b[2J');
  expect(fake.dumpJson().summary).toBe('the task was \x1b[2J');
});

it('is not made when the settings say so', async () => {
  const outcome = await run({ ...config, report: false });
  expect(calls).toEqual([]);
  expect(stepsOf(outcome)).not.toContain('report');
  expect(outcome.report.summary).toBeNull();
});

it('is not begun when memory is short, and the dump is written', async () => {
  fake.machine = { ...fake.machine, memory: () => ({ total: 90_000, available: 40_000, peak: 30_000 }) };
  const { report } = await run();
  expect(calls).toEqual([]);
  expect(report).toMatchObject({ state: 'complete', summary: null, errors: [{ code: 'memory-short' }] });
  expect(report.targets[0]!.error).toBeNull();
});

it('may fail without harm to the dump or blame for the target, and is not tried again', async () => {
  const failing = (): never => {
    calls.push({ seconds: 0, heap: 0 });
    throw new KdumpError('no-report', 'no report: x');
  };
  const full = (argv: readonly string[], ...rest: [never, never]): unknown => {
    if (fake.events.findLast((event) => event.startsWith('mount'))!.includes('vda'))
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    return fake.tools.collect(argv, ...rest);
  };
  const { report } = await run(two, { makeReport: failing, collect: full as CaptureTools['collect'] });
  expect(calls).toHaveLength(1);
  expect(report.errors.map(({ step }) => step)).toEqual(['report', 'collect']);
  expect(report.targets).toMatchObject([{ error: { step: 'collect' } }, { state: 'complete', error: null }]);
  expect(readFileSync(fake.on('/dev/vdb', 'var/crash', name, 'kexec-dmesg.log'), 'utf8')).toContain(
    'report failed: no report: x',
  );
});

it('goes to every target, and is made once', async () => {
  const full = (argv: readonly string[], ...rest: [never, never]): unknown => {
    if (fake.events.findLast((event) => event.startsWith('mount'))!.includes('vda'))
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    return fake.tools.collect(argv, ...rest);
  };
  await run(two, { collect: full as CaptureTools['collect'] });
  expect(calls).toHaveLength(1);
  for (const target of ['/dev/vda', '/dev/vdb'])
    expect(existsSync(fake.on(target, 'var/crash', name, 'report.json'))).toBe(true);
});

it('keeps to the time that the whole capture has, and to half of the memory', async () => {
  fake.machine = { ...fake.machine, memory: () => ({ total: 900_000, available: 409_600, peak: 30_000 }) };
  await run({ ...config, captureSeconds: 20 });
  expect(calls).toEqual([{ seconds: 20, heap: 200 }]);
});

it('counts the least memory that there was meanwhile', async () => {
  let available = 90_000;
  fake.machine = { ...fake.machine, memory: () => ({ total: 150_000, available, peak: 30_000 }) };
  const { report } = await run(config, {
    makeReport: (vmcore, directory, bounds, meanwhile) => {
      available = 50_000;
      meanwhile();
      available = 90_000;
      fake.tools.makeReport(vmcore, directory, bounds, meanwhile);
    },
  });
  expect(report.memory.lowestAvailableKiB).toBe(50_000);
});

/** What is left of a capture that was ended while it was at the report. */
async function endInReport(settings: CaptureConfig): Promise<void> {
  let state = Buffer.alloc(0);
  await runCapture(
    settings,
    { ...fake.machine, unmount: () => {} },
    {
      ...fake.tools,
      makeReport: () => {
        state = readFileSync(fake.machine.stateFile);
        throw new Error('ended');
      },
      collect: () => {
        throw new Error('ended');
      },
    },
  );
  mkdirSync(fake.machine.reportDirectory, { recursive: true });
  writeFileSync(join(fake.machine.reportDirectory, 'report.json'), '{');
  writeFileSync(fake.machine.stateFile, state);
}

it('does not keep the dump from being written when the whole capture ended in it', async () => {
  await endInReport(config);
  const { report } = await runAfterFailure(137, config, fake.machine, fake.tools);
  expect(calls).toEqual([]);
  expect(report).toMatchObject({
    state: 'complete',
    targets: [{ state: 'complete', error: null }],
    errors: [{ step: 'report', code: 'capture-died' }],
  });
});

it('leaves a target that took no report to the next one', async () => {
  await endInReport(two);
  writeFileSync(fake.machine.logFile, `kdump: [   99.00] ${stalledWords}\n`);
  const { report } = await runAfterFailure(137, two, fake.machine, fake.tools);
  expect(report.targets).toMatchObject([{ error: { code: 'stalled' } }, { state: 'complete' }]);
});
