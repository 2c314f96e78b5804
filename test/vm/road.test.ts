// The whole road on real kernels: armed by our kexec, crashed, captured by our image, rebooted; and the same road with
// a disk in the way that is too small.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../src/crash/report/build.ts';
import type { CollectReport } from '../../src/dump/collect.ts';
import type { DumpReport } from '../../src/kdump/capture/report.ts';
import { withTemporaryDirectory } from './lab/cache.ts';
import { type CrashResult, crash, kernelNames, peer } from './lab/lab.ts';

const panicLine = 'Kernel panic - not syncing: sysrq triggered crash';

function readReport(directory: string): DumpReport {
  return JSON.parse(readFileSync(join(directory, 'dump.json'), 'utf8')) as DumpReport;
}

/** The dump directory of a crash; what the target holds instead is in the console. */
function directoryOf(result: CrashResult): string {
  if (result.dumpDirectory === undefined) throw result.console.error('there is no dump directory');
  return result.dumpDirectory;
}

describe.each(kernelNames)('a crash of Linux %s', (kernel) => {
  let result: CrashResult;
  let directory: string;

  beforeAll(async () => {
    const collector = 'makedumpfile -l --message-level 31 -d 31';
    result = await crash({ kernel, collector, report: true, workload: 'full' });
    directory = directoryOf(result);
  });
  afterAll(() => result?.remove());

  test('leaves a complete dump that says what happened', () => {
    const report = readReport(directory);
    expect(report.errors).toEqual([]);
    expect(report).toMatchObject({
      state: 'complete',
      panic: panicLine,
      kernelRelease: result.kernel.release,
      host: 'guest',
    });
    expect(readdirSync(directory).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'report.html',
      'report.json',
      'vmcore',
      'vmcore-dmesg.txt',
    ]);
    for (const name of readdirSync(directory)) {
      expect(statSync(join(directory, name)).mode & 0o777, name).toBe(0o600);
    }
  });

  test('tells what happened before it writes the dump', () => {
    const { steps, summary } = readReport(directory);
    const names = steps.map(({ name }) => name);
    expect(names.indexOf('report')).toBe(names.indexOf('collect') - 1);
    const told = JSON.parse(readFileSync(join(directory, 'report.json'), 'utf8')) as Report;
    expect(told).toMatchObject({
      summary,
      crash: { reason: { class: 'sysrq', message: panicLine }, blamed: { function: 'sysrq_handle_crash' } },
      tasks: { damaged: false },
    });
    expect(JSON.stringify(told)).not.toContain('"failed":');
    expect(readFileSync(join(directory, 'report.html'), 'utf8')).toContain('sysrq_handle_crash');
  });

  test('counts every kind of page that the workload made', () => {
    const { pages } = readReport(directory).report as CollectReport;
    const { zero, cache, cachePrivate, user, free, offline, hwpoison } = pages.excluded;
    // The workload's own sizes, in pages: 16 MiB of files read, 20 MiB of anonymous and huge pages, 16 MiB balloon.
    expect(zero).toBeGreaterThan(0);
    expect(cache).toBeGreaterThanOrEqual(4096);
    expect(cachePrivate).toBeGreaterThan(0);
    expect(user).toBeGreaterThanOrEqual(5120);
    expect(free).toBeGreaterThan(0);
    expect(offline).toBeGreaterThanOrEqual(4096);
    const takesPagesOffline = result.kernel.config.get('CONFIG_MEMORY_FAILURE') === 'y';
    expect(hwpoison > 0).toBe(takesPagesOffline);
    expect(pages.remaining).toBeGreaterThan(0);
    expect(pages.remaining).toBeLessThan(pages.original / 2);
  });

  test('saves the log of the crashed kernel up to its last line', () => {
    const dmesg = readFileSync(join(directory, 'vmcore-dmesg.txt'), 'utf8');
    expect(dmesg).toContain(`Linux version ${result.kernel.release}`);
    // Said by the guest itself, just before the end.
    expect(dmesg).toMatch(/lab: crashing\n.*sysrq: Trigger a crash/);
    expect(dmesg).toContain(panicLine);
    expect(readFileSync(join(directory, 'kexec-dmesg.log'), 'utf8')).toContain('saved vmcore');
  });

  test('is readable by makedumpfile', async () => {
    const makedumpfile = await peer('makedumpfile');
    await withTemporaryDirectory(async (scratch) => {
      const text = join(scratch, 'dmesg.txt');
      const told = await makedumpfile.run(['--dump-dmesg', join(directory, 'vmcore'), text]);
      expect(told, told.stdout + told.stderr).toMatchObject({ status: 0 });
      expect(readFileSync(text, 'latin1')).toBe(readFileSync(join(directory, 'vmcore-dmesg.txt'), 'latin1'));
    });
  });

  test('is followed by a reboot of the same machine', () => {
    const { console } = result;
    const starts = console.lines.filter((line) => line.text.includes('] Linux version '));
    expect(starts).toHaveLength(3);
    expect(console.find(/\blab: rebooted after the crash/)).toBeDefined();
    expect(Object.values(result.timings)).not.toContain(undefined);
  });
});

describe('a crash with a target that is too small', () => {
  let result: CrashResult;
  let directory: string;

  beforeAll(async () => {
    // Level 0 keeps some 350 MiB.
    result = await crash({ kernel: '6.1', collector: 'makedumpfile -d 0', targetSize: 64 });
    directory = directoryOf(result);
  });
  afterAll(() => result?.remove());

  test('keeps what fits under a name that says so', () => {
    expect(existsSync(join(directory, 'vmcore'))).toBe(false);
    expect(statSync(join(directory, 'vmcore-incomplete')).size).toBeGreaterThan(0);
  });

  test('saves the logs and writes the cause beside them', () => {
    const report = readReport(directory);
    expect(report).toMatchObject({ state: 'incomplete', panic: panicLine });
    expect(report.errors.map((error) => error.step)).toContain('collect');
    expect(readFileSync(join(directory, 'vmcore-dmesg.txt'), 'utf8')).toContain(panicLine);
    expect(readFileSync(join(directory, 'vmcore-failed.txt'), 'utf8')).toContain('collect');
    expect(readFileSync(join(directory, 'kexec-dmesg.log'), 'utf8')).toContain('collect failed');
  });

  test('is followed by a reboot all the same', () => {
    expect(result.console.find(/\blab: rebooted after the crash/)).toBeDefined();
  });
});

describe('a crash with a target that is not there', () => {
  let result: CrashResult;

  beforeAll(async () => {
    result = await crash({ kernel: '6.12', target: '/dev/vdz' });
  });
  afterAll(() => result?.remove());

  test('says what is missing on the console', () => {
    expect(result.console.text()).toContain('target /dev/vdz did not appear');
    expect(result.dumpDirectory).toBeUndefined();
  });

  test('is followed by a reboot all the same', () => {
    expect(result.console.find(/\blab: rebooted after the crash/)).toBeDefined();
  });
});
