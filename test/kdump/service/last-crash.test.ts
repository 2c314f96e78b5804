import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as lastCrash from '../../../src/kdump/service/last-crash.ts';
import { start } from '../../../src/kdump/service/start.ts';
import { readState, type Saves, untestedSince } from '../../../src/kdump/service/state.ts';
import { FakeService, put, settings } from './fixture.ts';

let service: FakeService;
beforeEach(() => {
  service = new FakeService();
});
afterEach(() => service.remove());

const { describeCrash, labelDumps, lookForDumps, saveRaw } = lastCrash;
const findLastCrash = (saves: readonly Saves[]) =>
  lastCrash.findLastCrash(lookForDumps(saves, service), saves, service);

const dump = (directory: string, state: 'complete' | 'incomplete' | 'failed' = 'complete') => ({
  directory,
  elsewhere: null,
  state,
  time: '2026-01-01T00:00:00.000Z',
  panic: 'Kernel panic - not syncing: x',
  summary: null,
  report: null,
});

test('dumps that were there when it looked first are nobody s last crash', () => {
  service.dumps = [dump('/var/crash/old')];
  expect(findLastCrash([settings])).toBeNull();
  service.bootId = 'boot-2';
  expect(findLastCrash([settings])).toBeNull();
});

test('one that is new in this boot is, for as long as the boot lasts', () => {
  findLastCrash([settings]);
  service.bootId = 'boot-2';
  service.dumps = [dump('/var/crash/a'), dump('/var/crash/b', 'incomplete')];
  const found = findLastCrash([settings]);
  expect(found).toMatchObject({ directory: '/var/crash/b', state: 'incomplete', bootId: 'boot-2' });
  expect(findLastCrash([settings])).toEqual(found);
  expect(readState(service.directory).lastCrash).toEqual(found);
  service.bootId = 'boot-3';
  expect(findLastCrash([settings])).toBeNull();
});

test('what is saved or removed in the middle of a boot is no crash before it', () => {
  findLastCrash([settings]);
  service.dumps = [dump('/var/crash/copied')];
  expect(findLastCrash([settings])).toBeNull();
});

test('dumps of the last crash are labelled, once in a boot', () => {
  service.dumps = [dump('/var/crash/old')];
  labelDumps(lookForDumps([settings], service), service);
  findLastCrash([settings]);
  service.bootId = 'boot-2';
  service.dumps.push(dump('/var/crash/new'));
  labelDumps(lookForDumps([settings], service), service);
  findLastCrash([settings]);
  labelDumps(lookForDumps([settings], service), service);
  expect(service.labelled).toEqual(['/var/crash/old', '/var/crash/new']);
});

test('of a dump that is elsewhere it says where', () => {
  findLastCrash([settings]);
  service.bootId = 'boot-2';
  const elsewhere = { place: 'kdump@vault:/srv/x', file: 'vmcore.flat', bytes: 1 };
  service.dumps = [{ ...dump('/var/lib/kdump/crashes/x'), elsewhere }];
  expect(findLastCrash([settings])?.directory).toBe('kdump@vault:/srv/x');
  service.bootId = 'boot-3';
  expect(findLastCrash([settings])).toBeNull();
});

test('in words', () => {
  const crash = { ...dump('/var/crash/a'), bootId: 'x', why: null };
  expect(describeCrash(crash)).toBe(
    'the last boot ended in a crash: /var/crash/a, complete (Kernel panic - not syncing: x)',
  );
  expect(describeCrash({ ...crash, state: 'failed', panic: null })).toBe(
    'the last boot ended in a crash: /var/crash/a, without a vmcore',
  );
  expect(describeCrash({ ...crash, summary: 'The kernel crashed.\x1b[2J' })).toBe(
    'the last boot ended in a crash: /var/crash/a, complete. The kernel crashed.\\x1b[2J',
  );
  expect(describeCrash({ ...crash, state: 'incomplete', why: 'the target is full' })).toBe(
    'the last boot ended in a crash: /var/crash/a, incomplete (Kernel panic - not syncing: x): the target is full',
  );
});

test('with why its dump is not whole', () => {
  findLastCrash([settings]);
  service.bootId = 'boot-2';
  const report = {
    action: 'reboot',
    errors: [{ step: 'collect', code: 'x', message: 'the target is full' }],
  };
  service.dumps = [{ ...dump('/var/crash/a', 'incomplete'), report }];
  expect(findLastCrash([settings])).toMatchObject({ why: 'the target is full' });
});

describe('a boot that did not end with a shutdown', () => {
  const mark = 'boot-0123456789abcdef0123456789abcdef';
  const nowhere: Saves = {
    targets: [{ kind: 'ssh', user: 'kdump', host: 'vault' }],
    path: '/srv/dumps',
    report: true,
  };
  beforeEach(() => {
    findLastCrash([settings]);
    put(service.directory, mark);
    service.bootId = 'fedcba98-7654-3210-fedc-ba9876543210';
    put(service.directory, 'boot-fedcba9876543210fedcba9876543210');
  });

  test('is known to have ended badly also when it has left no dump, for as long as this boot lasts', () => {
    const found = findLastCrash([]);
    expect(found).toMatchObject({ directory: null, why: null });
    expect(describeCrash(found!)).toMatch(/ended without a shutdown, .* no dump of it was found$/);
    expect(findLastCrash([])).toEqual(found);
    expect(readdirSync(service.directory)).toContain('boot-fedcba9876543210fedcba9876543210');
    service.bootId = 'boot-3';
    rmSync(join(service.directory, 'boot-fedcba9876543210fedcba9876543210'));
    expect(findLastCrash([])).toBeNull();
  });

  test('is a crash when there is a new dump', () => {
    service.dumps = [dump('/var/crash/a')];
    expect(findLastCrash([settings])).toMatchObject({ directory: '/var/crash/a' });
    expect(readdirSync(service.directory)).not.toContain(mark);
  });

  test('may have left one where nobody can look', () => {
    expect(describeCrash(findLastCrash([nowhere, nowhere])!)).toMatch(
      /no dump of it was found: it could not be looked for in ssh kdump@vault \(its dumps are in \/srv\/dumps on vault\)$/,
    );
  });
});

test('raw partitions are looked at, whichever of the targets they are', () => {
  service.raw = { '/dev/b': '/var/crash/saved' };
  const targets = [
    { kind: 'raw', device: '/dev/a' },
    { kind: 'directory', path: '/var/crash' },
    { kind: 'raw', device: '/dev/b' },
  ] as const;
  expect(saveRaw([{ path: '/var/crash', targets, report: true }], service)).toEqual(['/var/crash/saved']);
  expect(service.reported).toEqual(['/var/crash/saved']);
  saveRaw([{ path: '/var/crash', targets, report: false }], service);
  expect(service.reported).toHaveLength(1);
});

describe('a crash that was saved', () => {
  const crashed = (time: string, state: 'complete' | 'incomplete' = 'complete') => {
    service.bootId = 'boot-2';
    service.dumps = [{ ...dump('/var/crash/a', state), time }];
    findLastCrash([settings]);
  };
  beforeEach(() => {
    start(settings, service);
    findLastCrash([settings]);
  });

  test('proves what was armed then and still is', () => {
    const later = new Date(Date.parse(readState(service.directory).armed!.since) + 1000).toISOString();
    crashed(later, 'incomplete');
    expect(readState(service.directory).test).toBeNull();
    service.bootId = 'boot-3';
    service.dumps.push({ ...dump('/var/crash/b'), time: later });
    findLastCrash([settings]);
    expect(readState(service.directory).test).toMatchObject({
      at: later,
      passed: true,
      detail: '/var/crash/b, of a crash',
    });
    expect(untestedSince(readState(service.directory))).toBeNull();
  });

  test('proves nothing of what was armed after it', () => {
    crashed('2025-12-31T23:59:59.000Z');
    expect(readState(service.directory).test).toBeNull();
  });
});
