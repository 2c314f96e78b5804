import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listDumps } from '../../../src/kdump/dumps/list.ts';
import { readState } from '../../../src/kdump/service/state.ts';
import type { Answer } from '../../../src/kdump/trial/ask-elsewhere.ts';
import { type CrashTestDoors, crashOnPurpose } from '../../../src/kdump/trial/crash-test.ts';
import { settleTest } from '../../../src/kdump/trial/test-result.ts';
import { parseStatus, readStatus, statusName, writeStatus } from '../../../src/kdump/trial/test-status.ts';

let directory: string;
let crash: string;
beforeEach(() => {
  const top = mkdtempSync(join(tmpdir(), 'kdump-test-'));
  directory = join(top, 'state');
  crash = join(top, 'crash');
  mkdirSync(crash);
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

function doors(part: Partial<CrashTestDoors>, done: string[]): CrashTestDoors {
  return {
    directory,
    now: () => 1700000000123456789n,
    isArmed: () => true,
    rearm: (parameter) => {
      done.push(`rearm ${parameter}`);
      return { setup: 'abc' };
    },
    syncAll: () => void done.push('sync'),
    crash: () => {
      done.push(`crash, having written ${readFileSync(join(directory, statusName), 'utf8').trim()}`);
      throw new Error('crashed');
    },
    ...part,
  };
}

describe('crashOnPurpose', () => {
  it('arms with the number of the test, writes it down, and crashes', () => {
    const done: string[] = [];
    expect(() => crashOnPurpose(doors({}, done))).toThrow('crashed');
    const id = 'kdump_test_id=1700000000123456789';
    expect(done).toEqual([`rearm ${id}`, 'sync', `crash, having written pending ${id} setup=abc`]);
    expect(statSync(join(directory, statusName)).mode & 0o777).toBe(0o600);
  });

  it('does not crash a machine that is not armed, or cannot be', () => {
    const done: string[] = [];
    expect(() => crashOnPurpose(doors({ isArmed: () => false }, done))).toThrow(/no crash kernel is loaded/);
    const rearm = (): never => {
      throw new Error('refused');
    };
    expect(() => crashOnPurpose(doors({ rearm }, done))).toThrow('refused');
    expect(done).toEqual([]);
    expect(readStatus(directory)).toBeNull();
  });

  it('says when the kernel did not crash', () => {
    expect(() => crashOnPurpose(doors({ crash: () => {} }, []))).toThrow(/did not/);
  });
});

describe('settleTest', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  const settle = (answer: Answer | null | undefined = null) =>
    settleTest(directory, listDumps(crash), () => answer, now);
  function saved(files: Record<string, string>): void {
    mkdirSync(join(crash, 'kdump-test-7'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(crash, 'kdump-test-7', name), text);
  }

  it('knows nothing of tests that nobody made', () => {
    expect(settle()).toBeNull();
    writeStatus(directory, { word: 'success', id: '7', setup: 'abc' });
    expect(settle()).toBeNull();
  });

  it.each([
    ['success kdump_test_id=7', true],
    ['success', true],
    ['fail kdump_test_id=7', false],
    ['success kdump_test_id=8', false],
    ['', false],
  ])('goes by the file of the handshake: "%s"', (text, passed) => {
    writeStatus(directory, { word: 'pending', id: '7', setup: 'abc' });
    saved({ [statusName]: text, vmcore: '' });
    expect(settle()).toMatchObject({ passed, setup: 'abc', at: now.toISOString() });
    expect(readStatus(directory)?.word).toBe(passed ? 'success' : 'fail');
    expect(readState(directory).test).toMatchObject({ passed, setup: 'abc' });
    expect(settle()).toBeNull();
  });

  it('passes when one of several targets has the dump', () => {
    writeStatus(directory, { word: 'pending', id: '7', setup: 'abc' });
    saved({ [statusName]: 'fail kdump_test_id=7', 'vmcore-incomplete': '' });
    mkdirSync(join(crash, 'kdump-test-7-2'));
    const files = {
      [statusName]: 'success kdump_test_id=7',
      'dump.json': '{"state":"complete"}',
      vmcore: '',
    };
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(crash, 'kdump-test-7-2', name), text);
    expect(settle()).toMatchObject({ passed: true, detail: join(crash, 'kdump-test-7-2') });
  });

  it('goes by the dump where that is missing', () => {
    writeStatus(directory, { word: 'pending', id: '7', setup: 'abc' });
    saved({ 'vmcore-incomplete': '' });
    expect(settle()).toMatchObject({ passed: false, detail: expect.stringContaining('is incomplete') });
  });

  it('asks where it cannot look, and waits for an answer', () => {
    writeStatus(directory, { word: 'pending', id: '7', setup: 'abc' });
    expect(settleTest(directory, [], () => undefined, now)).toBeNull();
    expect(readStatus(directory)?.word).toBe('pending');
    const answer = { line: 'success kdump_test_id=7\n', where: 'there' };
    expect(settle(answer)).toMatchObject({ passed: true, detail: 'there' });
    writeStatus(directory, { word: 'pending', id: '7', setup: 'abc' });
    expect(settle({ ...answer, line: 'fail kdump_test_id=7' })).toMatchObject({ passed: false });
  });

  it('asks also when there is only an account of what went wrong here', () => {
    writeStatus(directory, { word: 'pending', id: '7', setup: 'abc' });
    saved({ [statusName]: 'fail kdump_test_id=7' });
    expect(settle()).toMatchObject({ passed: false });
    writeStatus(directory, { word: 'pending', id: '7', setup: 'abc' });
    const answer = { line: 'success kdump_test_id=7', where: 'there' };
    expect(settle(answer)).toMatchObject({ passed: true, detail: 'there' });
  });

  it('fails where no dump is anywhere', () => {
    writeStatus(directory, { word: 'pending', id: '7', setup: 'abc' });
    expect(settle(null)).toMatchObject({ passed: false, detail: 'no dump of the test was found' });
  });
});

it('reads lines of kdump-utils, and none of nobody', () => {
  expect(parseStatus('pending kdump_test_id=17\n')).toEqual({ word: 'pending', id: '17', setup: null });
  for (const text of ['', 'pending', 'maybe kdump_test_id=1', 'success kdump_test_id=../x'])
    expect(parseStatus(text)).toBeNull();
});
