import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { makeReport, summaryIn } from '../../../src/kdump/capture/crash-report.ts';

const root = mkdtempSync(join(tmpdir(), 'kdump-report-'));
afterAll(() => rmSync(root, { recursive: true }));
const directory = join(root, 'report');

/** Runs a program in place of the real one. */
function make(source: string, seconds = 60, meanwhile?: () => void): void {
  const bundle = join(root, 'program.mjs');
  writeFileSync(bundle, `import { readFileSync, writeFileSync } from 'node:fs';\n${source}`);
  makeReport(
    { node: [process.execPath], bundle },
    '/the/vmcore',
    directory,
    { seconds, heap: 48 },
    meanwhile,
  );
}
const write = "writeFileSync(process.argv[3] + '/report.json', JSON.stringify";

it('runs its program with the dump and a directory of its own', () => {
  make(`${write}({ summary: process.argv[2] }));`);
  expect(summaryIn(directory)).toBe('/the/vmcore');
  expect(statSync(directory).mode & 0o777).toBe(0o700);
});

it('bounds the memory of the program, and has it go first when there is none', () => {
  make(
    `${write}({ summary: process.execArgv.join(' ') + readFileSync('/proc/self/oom_score_adj', 'utf8') }));`,
  );
  expect(summaryIn(directory)).toMatch(/--max-old-space-size=48 .*1000\n/);
});

it('calls back while the program runs', () => {
  let calls = 0;
  make('await new Promise((resolve) => setTimeout(resolve, 500));', 60, () => calls++);
  expect(calls).toBeGreaterThan(0);
});

it('says why there is none, and leaves nothing', () => {
  const begun = `${write}({}));`;
  const error = (source: string, seconds?: number): unknown => {
    try {
      make(`${begun}\n${source}`, seconds);
    } catch (thrown) {
      expect(existsSync(join(directory, 'report.json'))).toBe(false);
      return thrown;
    }
    return undefined;
  };
  expect(error("console.error('crash-report: no kernel'); process.exitCode = 1;")).toMatchObject({
    code: 'no-report',
    message: 'no report: crash-report: no kernel',
  });
  expect(error("process.kill(process.pid, 'SIGKILL');")).toMatchObject({
    code: 'no-report',
    message: expect.stringContaining('there was no memory'),
  });
  expect(error('const all = []; for (;;) all.push({ all: [all.length] });')).toMatchObject({
    code: 'no-report',
    message: expect.stringContaining('more memory than it may have'),
  });
  expect(error('setInterval(() => {}, 1000);', 1)).toMatchObject({ code: 'timed-out' });
});

it('takes no summary from what is none', () => {
  expect(summaryIn(join(root, 'nowhere'))).toBeNull();
  writeFileSync(join(directory, 'report.json'), '{"summary": 7}');
  expect(summaryIn(directory)).toBeNull();
  expect(readFileSync(join(directory, 'report.json'), 'utf8')).toContain('7');
});
