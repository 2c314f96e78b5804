import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readNames } from '../../../src/kdump/dumps/layouts.ts';
import { listDumps } from '../../../src/kdump/dumps/list.ts';
import { pruneAccounts, removeDumps, spaceOf } from '../../../src/kdump/dumps/remove.ts';

let crash: string;
beforeEach(() => {
  crash = mkdtempSync(join(tmpdir(), 'kdump-dumps-'));
});
afterEach(() => rmSync(crash, { recursive: true }));

function put(path: string, text = ''): void {
  mkdirSync(dirname(join(crash, path)), { recursive: true });
  writeFileSync(join(crash, path), text);
}
const report = (part: object): string =>
  JSON.stringify({
    format: 1,
    state: 'complete',
    host: 'box',
    crashTime: '2026-03-04T05:06:07Z',
    panic: 'BUG: x',
    ...part,
  });

describe('listDumps', () => {
  it('is empty where there is nothing', () => {
    expect(listDumps(join(crash, 'nowhere'))).toEqual([]);
    expect(listDumps(crash)).toEqual([]);
  });

  it('reads ours, oldest first', () => {
    put('box-2026-03-04-05:06:07/dump.json', report({ kernelRelease: '6.12.1' }));
    put('box-2026-03-04-05:06:07/vmcore', 'x'.repeat(5000));
    put('box-2026-03-04-05:06:07/vmcore-dmesg.txt', 'log');
    put(
      'box-2026-01-01-00:00:00/dump.json',
      report({ state: 'incomplete', crashTime: '2026-01-01T00:00:00Z' }),
    );
    const dumps = listDumps(crash);
    expect(dumps).toMatchObject([
      { state: 'incomplete', vmcore: null, time: '2026-01-01T00:00:00.000Z' },
      {
        name: 'box-2026-03-04-05:06:07',
        directory: join(crash, 'box-2026-03-04-05:06:07'),
        madeBy: 'kdump-tools',
        state: 'complete',
        host: 'box',
        kernelRelease: '6.12.1',
        panic: 'BUG: x',
        vmcore: 'vmcore',
        dmesg: 'vmcore-dmesg.txt',
        files: { vmcore: 5000 },
      },
    ]);
    expect(dumps[1]!.bytes).toBeGreaterThanOrEqual(5000);
  });

  it('does not believe a report whose vmcore is gone', () => {
    put('box-2026-03-04-05:06:07/dump.json', report({}));
    expect(listDumps(crash)).toMatchObject([{ state: 'failed', vmcore: null }]);
  });

  it('reads an account of a dump that is elsewhere, or nowhere', () => {
    const targets = [
      { target: 'kdump@vault', directory: null, state: 'failed' },
      { target: 'files:/export', directory: '/crash/x', file: 'vmcore', bytes: 7 },
    ];
    put('box-2026-03-04-05:06:07/dump.json', report({ copy: true, targets }));
    put('box-2026-03-05-05:06:07/dump.json', report({ copy: true, state: 'failed', targets: 'none' }));
    expect(listDumps(crash)).toMatchObject([
      { state: 'complete', elsewhere: { place: 'files:/export:/crash/x', file: 'vmcore', bytes: 7 } },
      { state: 'failed', elsewhere: null },
    ]);
  });

  it('goes by names and log where a report is missing or is none', () => {
    put('10.0.0.7-2026-02-03-04:05:06/vmcore.flat');
    put(
      '10.0.0.7-2026-02-03-04:05:06/vmcore-dmesg.txt',
      '[1.0] Kernel panic - not syncing: sysrq\n[1.1] ---[ end Kernel panic\n',
    );
    put('127.0.0.1-2026-02-03-04:05:07/vmcore-incomplete');
    put('127.0.0.1-2026-02-03-04:05:07/dump.json', '{"state": "wonderful"}');
    put('box-2026-02-03-04:05:08/dump.json', '[');
    expect(listDumps(crash)).toMatchObject([
      {
        madeBy: 'kdump-utils',
        state: 'complete',
        host: '10.0.0.7',
        panic: 'Kernel panic - not syncing: sysrq',
        report: null,
      },
      { madeBy: 'kdump-utils', state: 'incomplete', host: null, time: '2026-02-03T04:05:07.000Z' },
      { state: 'failed', vmcore: null },
    ]);
  });

  it("reads Debian's", () => {
    put('202602030405/dump.202602030405');
    put('202602030405/dmesg.202602030405', 'BUG: y\n');
    put('box-202602030406/dump-incomplete');
    expect(listDumps(crash)).toMatchObject([
      { madeBy: 'debian', state: 'complete', host: null, vmcore: 'dump.202602030405', panic: 'BUG: y' },
      { madeBy: 'debian', state: 'incomplete', host: 'box', vmcore: 'dump-incomplete' },
    ]);
  });

  it('leaves out what is no dump, and does not follow links', () => {
    put('kexec_cmd', 'x');
    put('notes/readme');
    put('.removed-box-2026-02-03-04:05:06/vmcore');
    put('elsewhere/box-2026-02-03-04:05:06/vmcore');
    symlinkSync(join(crash, 'elsewhere/box-2026-02-03-04:05:06'), join(crash, 'box-2026-02-03-04:05:06'));
    expect(listDumps(crash)).toEqual([]);
  });

  it('takes any names', () => {
    const names = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[a-z]{0,3}-?\d{12}$/),
      fc.stringMatching(/^\w-\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d$/),
    );
    fc.assert(
      fc.property(names, fc.array(fc.constantFrom('vmcore', 'dump.1', 'dmesg.1', 'x')), (name, files) => {
        const read = readNames(name, files);
        if (read?.time != null) expect(new Date(read.time).toISOString()).toBe(read.time);
        if (read?.vmcore != null) expect(files).toContain(read.vmcore);
      }),
    );
  });
});

describe('removeDumps', () => {
  it('removes what it is told, what was left of an earlier removal, and nothing else', () => {
    put('box-2026-01-01-00:00:00/vmcore');
    put('box-2026-01-02-00:00:00/vmcore');
    put('.removed-box-2026-01-01-00:00:00/vmcore');
    put('mine/file');
    removeDumps(listDumps(crash).slice(0, 1));
    expect(readdirSync(crash).sort()).toEqual(['box-2026-01-02-00:00:00', 'mine']);
  });

  it('leaves the goal of a link alone', () => {
    put('mine/file');
    put('box-2026-01-01-00:00:00/vmcore');
    symlinkSync(join(crash, 'mine'), join(crash, 'box-2026-01-01-00:00:00/link'));
    removeDumps(listDumps(crash));
    expect(existsSync(join(crash, 'mine/file'))).toBe(true);
  });

  it('keeps the newest accounts', () => {
    for (let day = 10; day < 32; day++) put(`box-2026-01-${day}-00:00:00/dump.json`, report({}));
    pruneAccounts(crash);
    expect(readdirSync(crash)).toHaveLength(20);
    expect(existsSync(join(crash, 'box-2026-01-11-00:00:00'))).toBe(false);
    pruneAccounts(join(crash, 'nowhere'));
  });

  it('knows the space', () => {
    const { free, total } = spaceOf(crash);
    expect(total).toBeGreaterThan(0);
    expect(free).toBeLessThanOrEqual(total);
  });
});
