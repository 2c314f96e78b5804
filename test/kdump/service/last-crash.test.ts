import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeCrash, findLastCrash, saveRaw } from '../../../src/kdump/service/last-crash.ts';
import { readState } from '../../../src/kdump/service/state.ts';
import { FakeService, settings } from './fixture.ts';

let service: FakeService;
beforeEach(() => {
  service = new FakeService();
});
afterEach(() => service.remove());

const dump = (directory: string, state: 'complete' | 'incomplete' | 'failed' = 'complete') => ({
  directory,
  elsewhere: null,
  state,
  time: '2026-01-01T00:00:00.000Z',
  panic: 'Kernel panic - not syncing: x',
  report: null,
});

test('dumps that were there when it looked first are nobody s last crash', () => {
  service.dumps = [dump('/var/crash/old')];
  expect(findLastCrash(settings, service)).toBeNull();
  service.bootId = 'boot-2';
  expect(findLastCrash(settings, service)).toBeNull();
});

test('one that is new in this boot is, for as long as the boot lasts', () => {
  findLastCrash(settings, service);
  service.bootId = 'boot-2';
  service.dumps = [dump('/var/crash/a'), dump('/var/crash/b', 'incomplete')];
  const found = findLastCrash(settings, service);
  expect(found).toMatchObject({ directory: '/var/crash/b', state: 'incomplete', bootId: 'boot-2' });
  expect(findLastCrash(settings, service)).toEqual(found);
  expect(readState(service.directory).lastCrash).toEqual(found);
  service.bootId = 'boot-3';
  expect(findLastCrash(settings, service)).toBeNull();
});

test('what is saved or removed in the middle of a boot is no crash before it', () => {
  findLastCrash(settings, service);
  service.dumps = [dump('/var/crash/copied')];
  expect(findLastCrash(settings, service)).toBeNull();
});

test('of a dump that is elsewhere it says where', () => {
  findLastCrash(settings, service);
  service.bootId = 'boot-2';
  const elsewhere = { place: 'kdump@vault:/srv/x', file: 'vmcore.flat', bytes: 1 };
  service.dumps = [{ ...dump('/var/lib/kdump/crashes/x'), elsewhere }];
  expect(findLastCrash(settings, service)?.directory).toBe('kdump@vault:/srv/x');
  service.bootId = 'boot-3';
  expect(findLastCrash(settings, service)).toBeNull();
});

test('in words', () => {
  const crash = { ...dump('/var/crash/a'), bootId: 'x' };
  expect(describeCrash(crash)).toBe(
    'the last boot ended in a crash: /var/crash/a, complete (Kernel panic - not syncing: x)',
  );
  expect(describeCrash({ ...crash, state: 'failed', panic: null })).toBe(
    'the last boot ended in a crash: /var/crash/a, without a vmcore',
  );
});

test('raw partitions are looked at, whichever of the targets they are', () => {
  service.raw = { '/dev/b': '/var/crash/saved' };
  const targets = [
    { kind: 'raw', device: '/dev/a' },
    { kind: 'directory', path: '/var/crash' },
    { kind: 'raw', device: '/dev/b' },
  ] as const;
  expect(saveRaw({ ...settings, targets: [...targets] }, service)).toEqual(['/var/crash/saved']);
});
