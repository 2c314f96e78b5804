import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildReport, type Report } from '../../../src/crash/report/build.ts';
import { escapeHtml } from '../../../src/crash/report/html-text.ts';
import { memoryPicture, percent, sizeText } from '../../../src/crash/report/picture.ts';
import { renderReport, reportFormatOf } from '../../../src/crash/report/render.ts';
import { durationText, timeText } from '../../../src/crash/report/words.ts';
import type { Triage } from '../../../src/crash/triage/triage.ts';
import { Vmcoreinfo } from '../../../src/formats/vmcoreinfo.ts';
import { Kernel } from '../../../src/kernel/kernel.ts';
import { fakeCore } from '../../helpers/kernel.ts';

const dump = {
  paths: ['vmcore'],
  format: 'ELF',
  dumpLevel: undefined,
  incomplete: false,
  vmcoreinfo: new Vmcoreinfo('OSRELEASE=6.6.6\n'),
} as const;

const task = { pid: 7, comm: 'ss', address: '0xffff888000001000', cpu: 1, state: 'TASK_RUNNING' };

const crash: Triage = {
  reason: {
    class: 'null-pointer',
    message: 'BUG: kernel NULL pointer dereference, address: 00000000000000e8',
    panic: 'Kernel panic - not syncing: Fatal exception',
    address: '0xe8',
    access: 'write',
    where: undefined,
    cpu: undefined,
    pid: undefined,
    earlier: [],
  },
  signature: { hash: '0123456789abcdef', class: 'null-pointer', frames: ['lab:f', 'g'] },
  panicTask: task,
  task,
  context: 'process',
  blamed: { place: 'f+0x5/0x40 [lab]', function: 'f', module: 'lab', source: 'lab.c:12' },
  trace: ['f+0x5/0x40 [lab]', 'g+0x1/0x2', 'g+0x1/0x2'],
  fault: {
    address: '0xe8',
    access: 'write',
    findings: [{ kind: 'null', text: '0xe8 bytes behind NULL' }],
    operand: { text: 'rax+0xe8', registers: { rax: '0x0' } },
  },
  objects: [{ cache: 'filp', address: '0xffff888000002000', text: '/proc/slabinfo', words: 3 }],
  lastUnloaded: 'vmsecmod(OE)',
  taints: 'OE',
  taintedModules: [{ name: 'lab', taints: 'OE' }],
};

const whole: Report = {
  report: 'kdump-tools',
  version: 1,
  summary: 'It crashed.',
  dump: { paths: ['vmcore'], format: 'ELF', dumpLevel: null, incomplete: false },
  system: {
    release: '6.6.6',
    version: '#1',
    machine: 'x86_64',
    nodename: 'host',
    cpus: 2,
    memoryBytes: 2 ** 29,
    crashTime: 1_795_259_278,
    uptimeSeconds: 11.4,
    loadAverage: [0, 0.5, 1],
    commandLine: 'quiet',
  },
  crash,
  traces: [{ cpu: 1, pid: 7, comm: 'ss', panicked: true, frames: crash.trace, stop: 'the stack is lost' }],
  log: ['[    0.000000] Linux version 6.6.6'],
  tasks: {
    total: 3,
    states: { RU: 2, UN: 1 },
    damaged: false,
    blocked: [{ pid: 9, comm: 'dd', seconds: 75.5, trace: ['io_wait+0x1/0x2'] }],
  },
  memory: {
    total: 1000,
    uses: [
      { kind: 'free', bytes: 250 },
      { kind: 'slab', bytes: 750 },
    ],
  },
  modules: [{ name: 'lab', base: '0xffffffffc0000000', size: 4096, taints: 'OE' }],
};

describe('of a kernel of which nothing is known', () => {
  const report = buildReport(new Kernel(fakeCore({}), {}), dump);

  test('every part says why it is missing, or that there is nothing; none throws', () => {
    expect(report.log).toMatchObject({
      failed: expect.stringContaining('VMCOREINFO describes no kernel log'),
    });
    expect(report.memory).toHaveProperty('failed');
    expect(report.summary).toContain('did not crash as far as its log tells');
    expect(report.traces).toEqual([]);
  });

  test('of a kernel that runs it tells no time of a crash', () => {
    const live = buildReport(new Kernel(fakeCore({}), {}), { ...dump, format: 'live' });
    expect(live.summary).toContain('runs, and changes while this is read');
    expect(live.system).toMatchObject({ crashTime: null });
    expect(renderReport(live, 'md')).toMatch(/^# Running kernel/);
  });

  test.each(['html', 'md', 'json'] as const)('it can be written as %s', (format) => {
    expect(renderReport(report, format)).toContain('VMCOREINFO describes no kernel log');
  });
});

describe('a whole report', () => {
  test.each(['html', 'md', 'json'] as const)('%s tells everything', (format) => {
    const text = renderReport(whole, format).replaceAll('\\', '');
    for (const part of [
      'It crashed.',
      '0123456789abcdef',
      '/proc/slabinfo',
      'lab.c:12',
      'rax+0xe8',
      'the stack is lost',
      'vmsecmod(OE)',
      'Linux version 6.6.6',
      'io_wait',
    ])
      expect(text).toContain(part);
  });

  test('JSON is the report itself', () => {
    expect(JSON.parse(renderReport(whole, 'json'))).toEqual(JSON.parse(JSON.stringify(whole)));
  });

  test('HTML refers to nothing outside of it and runs nothing', () => {
    const html = renderReport(whole, 'html');
    expect(html).toMatch(/^<!DOCTYPE html>\n<html lang="en">/);
    expect(html).not.toMatch(/https?:|<script|<link|<img|url\(|@import|\son\w+=/);
    expect(html).toContain("default-src 'none'");
    expect(tagsAreBalanced(html)).toBe(true);
  });

  test('repeated frames are counted', () => {
    expect(renderReport(whole, 'md')).toContain('g+0x1/0x2  (2 times)');
  });

  test('what a log or a name holds is no markup', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom('</pre><script>', '```', '"><b>', '&amp;', '\u0000')),
        (odd) => {
          const changed = { ...whole, summary: odd, log: [odd, odd], crash: { ...crash, taints: odd } };
          const html = renderReport(changed, 'html');
          expect(tagsOf(html)).toEqual(
            tagsOf(
              renderReport(
                {
                  ...whole,
                  summary: '-',
                  log: ['-', '-'],
                  crash: { ...crash, taints: odd === '' ? '' : '-' },
                },
                'html',
              ),
            ),
          );
          const [fence] = /^`{3,}$/m.exec(renderReport(changed, 'md').split('## Last lines of the log')[1]!)!;
          expect(odd.includes(fence)).toBe(false);
        },
      ),
    );
    expect(escapeHtml(`<a b="c" d='e'>&`)).toBe('&#60;a b=&#34;c&#34; d=&#39;e&#39;&#62;&#38;');
  });
});

test('the picture of memory is as wide as all of it', () => {
  const picture = memoryPicture(whole.memory as Exclude<Report['memory'], { failed: string }>);
  expect([...picture.matchAll(/ width="([\d.]+)"/g)].map(([, width]) => Number(width))).toEqual([180, 540]);
  expect(picture).toContain('aria-label="Memory: free 25.0 %, slab 75.0 %"');
  expect(memoryPicture({ total: 0, uses: [{ kind: 'free', bytes: 0 }] })).toContain('width="0.0"');
});

test('the name of a file tells its format', () => {
  expect(['a.html', 'b.JSON', 'c.d.md'].map(reportFormatOf)).toEqual(['html', 'json', 'md']);
  expect(() => reportFormatOf('report.pdf')).toThrow(/report\.pdf tells no format/);
});

test('words', () => {
  expect([sizeText(0), sizeText(1536), sizeText(2 ** 30)]).toEqual(['0 B', '1.5 KiB', '1 GiB']);
  expect([percent(1, 0), percent(1, 3)]).toEqual(['0 %', '33.3 %']);
  expect([durationText(6.94), durationText(482), durationText(90_061)]).toEqual([
    '6.9 s',
    '00:08:02',
    '1 d 01:01:01',
  ]);
  expect(timeText(1_795_259_278)).toBe('2026-11-21 11:07:58 UTC');
});

const tagsOf = (html: string): string[] =>
  [...html.slice(html.indexOf('<body>'), html.indexOf('</html>')).matchAll(/<\/?([a-z]\w*)/g)].map(
    ([tag]) => tag!,
  );

/** Whether every element that is opened is closed, in its order. */
function tagsAreBalanced(html: string): boolean {
  const open: string[] = [];
  for (const tag of tagsOf(html)) {
    if (!tag.startsWith('</')) open.push(tag.slice(1));
    else if (open.pop() !== tag.slice(2)) return false;
  }
  return open.length === 0;
}
