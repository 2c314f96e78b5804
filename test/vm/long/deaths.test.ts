// What happened: guests that died in many ways, told by nothing but a filtered dump, compared with what their kernels
// printed while they died.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renderReport } from '../../../src/crash/report/render.ts';
import { BugTable } from '../../../src/crash/triage/bug-table.ts';
import { withoutPrefix } from '../../../src/crash/triage/reason.ts';
import { drawPage } from '../lab/browser.ts';
import { crashedGuest, type Death, deathNames } from '../lab/crashes/crashes.ts';
import { kernelNames } from '../lab/lab.ts';
import { made, storyTeller } from '../lab/told.ts';

const look = storyTeller();

const how = '/sys/module/kdump_lab/parameters/how';
const nullPointer = { class: 'null-pointer', address: '0xe8', access: 'write' } as const;

/** What each death is, in which function, and what else must be said of it. */
const expected: Record<
  Death,
  { reason: object; blamed: string; context: string; files?: readonly string[] }
> = {
  bug: { reason: { class: 'bug' }, blamed: 'lab_bug', context: 'process', files: [how] },
  null: { reason: nullPointer, blamed: 'lab_null', context: 'process', files: [how] },
  softirq: { reason: nullPointer, blamed: 'lab_null', context: 'softirq' },
  'hardirq-0': { reason: nullPointer, blamed: 'lab_null', context: 'interrupt' },
  'hardirq-1': { reason: nullPointer, blamed: 'lab_null', context: 'interrupt' },
  nmi: { reason: { class: 'panic' }, blamed: 'lab_nmi', context: 'nmi' },
  stack: { reason: { class: 'stack-overflow' }, blamed: 'lab_recurse', context: 'process', files: [how] },
  hung: { reason: { class: 'hung-task' }, blamed: 'lab_never_woken', context: 'kernel-thread' },
  softlockup: { reason: { class: 'soft-lockup' }, blamed: 'lab_spin', context: 'process', files: [how] },
  unloaded: { reason: { class: 'bad-address', access: 'write' }, blamed: '__run_timers', context: 'softirq' },
};

const signatures = new Map<Death, Set<string>>();

describe.each(kernelNames)('kernel %s', (name) => {
  describe.each(deathNames)('dies by %s', (death) => {
    test('the function, the task, and all that it was in', async () => {
      const guest = await crashedGuest(name, death);
      const { triage, kernel, report } = look(guest.vmcore);
      const { reason, blamed, context, files = [] } = expected[death];
      expect(triage).toMatchObject({ reason, context, blamed: { function: blamed } });
      const printed = callTrace(readFileSync(guest.log, 'latin1'), triage.reason.message!);
      const from = printed.indexOf(withoutSize(triage.trace[0]!));
      expect(from).toBeGreaterThanOrEqual(0);
      expect(triage.trace.map(withoutSize)).toEqual(printed.slice(from, from + triage.trace.length));
      for (const file of files)
        expect(triage.objects).toContainEqual(expect.objectContaining({ cache: 'filp', text: file }));
      for (const part of [
        report.system,
        report.traces,
        report.log,
        report.tasks,
        report.memory,
        report.modules,
      ])
        expect(part).not.toHaveProperty('failed');
      expect(made(report.traces).map(({ cpu, panicked }) => ({ cpu, panicked }))[0]).toEqual({
        cpu: kernel.panicCpu,
        panicked: true,
      });
      signatures.set(death, (signatures.get(death) ?? new Set()).add(triage.signature.hash));
      if (death !== 'unloaded') expect(triage.taintedModules).toEqual([{ name: 'kdump_lab', taints: 'OE' }]);
    });
  });

  test('BUG and WARN have their lines of source, and the warning that was given once is known', async () => {
    const { triage, kernel } = look((await crashedGuest(name, 'bug')).vmcore);
    const source = readFileSync('test/vm/lab/crashes/kdump_lab.c', 'utf8').split('\n');
    const line = (code: string) => source.findIndex((text) => text.includes(code)) + 1;
    expect(triage.blamed?.source).toBe(`/build/kdump_lab.c:${line('BUG();')}`);
    const warned = new BugTable(kernel).warned().map(({ file, line: at }) => `${file}:${at}`);
    expect(warned).toEqual([`/build/kdump_lab.c:${line('WARN_ON_ONCE')}`]);
    expect(triage.reason.earlier.length).toBe(1);
  });

  test('the operand of a NULL pointer, and the address of a module that is gone', async () => {
    const found = look((await crashedGuest(name, 'null')).vmcore).triage.fault;
    expect(found?.operand).toEqual({ text: 'rax+0xe8', registers: { rax: '0x0' } });
    const gone = look((await crashedGuest(name, 'unloaded')).vmcore).triage;
    expect(gone.lastUnloaded).toBe('kdump_lab');
    expect(gone.fault?.findings.map(({ kind }) => kind)).toEqual(['former-module', 'not-mapped']);
    expect(gone.fault?.findings[0]?.text).toContain('the last one unloaded was kdump_lab');
  });

  test('who is stuck is another than who noticed, and is the longest to wait', async () => {
    const { triage, report } = look((await crashedGuest(name, 'hung')).vmcore);
    expect(triage).toMatchObject({ task: { comm: 'lab_hung' }, panicTask: { comm: 'khungtaskd' } });
    const blocked = made(report.tasks).blocked;
    expect(blocked[0]).toMatchObject({ comm: 'lab_hung' });
    expect(blocked[0]!.seconds).toBeGreaterThan(3);
  });

  test('just below the stack that ran over', async () => {
    const { triage } = look((await crashedGuest(name, 'stack')).vmcore);
    expect(triage.fault?.findings[0]).toEqual({
      kind: 'stack',
      text: 'just below the stack of init (pid 1)',
    });
  });
});

test('equal deaths have the same signature on both kernels, and different ones do not', () => {
  // What the kernel itself was in has other names in other versions.
  for (const death of ['null', 'bug', 'stack', 'softlockup', 'hung'] as const)
    expect([death, signatures.get(death)?.size]).toEqual([death, 1]);
  const all = (['null', 'bug', 'stack', 'softlockup', 'hung', 'nmi', 'unloaded'] as const).flatMap(
    (death) => [...signatures.get(death)!],
  );
  expect(new Set(all).size).toBe(all.length);
});

test('a browser shows the report, light and dark, and has nothing to complain of', async () => {
  const { report } = look((await crashedGuest('6.12', 'null')).vmcore);
  const directory = mkdtempSync(join(tmpdir(), 'kdump-lab-'));
  try {
    const page = join(directory, 'report.html');
    writeFileSync(page, renderReport(report, 'html'));
    const light = await drawPage(page);
    expect(light.messages).not.toMatch(/CONSOLE|ERROR:.*(?:csp|parse)/i);
    expect(light.dom).toContain('lab_null');
    expect(light.dom.match(/<section>/g)?.length).toBe(8);
    expect(light.picture.subarray(1, 4).toString()).toBe('PNG');
    const dark = await drawPage(page, { dark: true });
    expect(dark.picture.equals(light.picture)).toBe(false);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

const withoutSize = (text: string): string => text.replace(/\/0x[0-9a-f]+/, '');

/** Functions that a kernel printed of a crash: where it was interrupted, and each call trace behind it. */
function callTrace(log: string, message: string): string[] {
  const lines = log.split('\n').map(withoutPrefix);
  const start = lines.findLastIndex((line) => line.startsWith(message));
  const block = lines.slice(start);
  const end = block.findIndex((line, i) => i > 0 && /---\[ end |^Kernel panic/.test(line));
  return block.slice(0, end < 0 ? undefined : end).flatMap((line) => {
    const [, rip, call] =
      /^RIP: 0010:(\S+ ?(?:\[\w+\])?)|^ {1,2}([\w.]+\+0x\w+\/0x\w+(?: \[\w+\])?)$/.exec(line) ?? [];
    const text = (rip ?? call)?.trim();
    return text === undefined ? [] : [withoutSize(text)];
  });
}
