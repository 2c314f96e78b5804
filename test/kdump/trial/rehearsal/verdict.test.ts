import { describe, expect, it } from 'vitest';
import { words } from '../../../../src/kdump/trial/rehearsal/guest.ts';
import { describeVerdict, judge } from '../../../../src/kdump/trial/rehearsal/verdict.ts';

const report = {
  state: 'complete',
  memory: { totalKiB: 200 << 10, lowestAvailableKiB: 50 << 10, nodePeakKiB: 60 << 10 },
  steps: [{ name: 'collect', began: 3, seconds: 2.5 }],
  errors: [],
};
const look = (value: object): string =>
  `[    0.1] booting\r\n${words.begin}\r\n${JSON.stringify(value, undefined, 2).replaceAll('\n', '\r\n')}\r\n${words.end}\r\n`;

describe('judge', () => {
  it('passes a complete dump, with the memory that it took', () => {
    const verdict = judge('', look(report), true, ['kdump@vault was not reached']);
    expect(verdict).toMatchObject({
      passed: true,
      memory: { total: 200 << 20, lowest: 50 << 20, node: 60 << 20 },
      seconds: { collect: 2.5 },
      lastWords: [],
    });
    expect(describeVerdict(verdict)).toBe(
      [
        'Rehearsal passed: the capture kernel came up in the reserved memory and saved a complete dump.',
        'Memory of the capture kernel: 200.0 MiB, of which 50.0 MiB were never in use; node took 60.0 MiB.',
        'Not proven: kdump@vault was not reached.',
        '',
      ].join('\n'),
    );
  });

  it('gives the error of the capture', () => {
    const errors = [{ step: 'collect', code: 'x', message: 'the target is full', fix: 'Make room.' }];
    expect(judge('', look({ ...report, state: 'incomplete', errors }), true, [])).toMatchObject({
      passed: false,
      why: 'collect: the target is full',
      fix: 'Make room.',
    });
  });

  it.each([
    ['Initramfs unpacking failed: write error', /too little memory to unpack/],
    ['Out of memory: Killed process 99 (node)', /ran out of memory/],
    ['Kernel panic - not syncing: System is deadlocked on memory', /ran out of memory/],
    ['Cannot load it: the image does not fit the reserved memory: 5 MiB', /do not fit the reserved memory/],
    [`${words.failed} kexec -p ended with status 1`, /could not be armed or looked into: kexec -p ended/],
    ['nothing of note', /the capture left nothing/],
  ])('reads the console: %s', (line, why) => {
    const verdict = judge(`first\r\n${line}\r\n`, '', true, []);
    expect(verdict).toMatchObject({ passed: false, report: null, why: expect.stringMatching(why) });
    expect(verdict.lastWords).toContain(line);
    expect(describeVerdict(verdict)).toContain(`  ${line}\n`);
  });

  it('says when a run had to be ended, and survives half of a report', () => {
    const half = `${words.begin}\r\n{"state": "comp`;
    expect(judge('', half, false, [])).toMatchObject({
      passed: false,
      why: expect.stringContaining('in its time'),
    });
    expect(judge('', `${half}\r\n${words.end}`, true, [])).toMatchObject({ passed: false, report: null });
  });

  it('sends no control characters to a terminal', () => {
    expect(describeVerdict(judge('\x1b[2J', null, true, []))).not.toContain('\x1b');
  });
});
