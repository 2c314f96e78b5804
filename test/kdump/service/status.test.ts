import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import { start } from '../../../src/kdump/service/start.ts';
import { readState, recordTarget, recordTest, stateName } from '../../../src/kdump/service/state.ts';
import { judgeStatus, readStatusFacts, spoken } from '../../../src/kdump/service/status.ts';
import { FakeService, put, release, settings } from './fixture.ts';

let service: FakeService;
beforeEach(() => {
  service = new FakeService();
  mkdirSync(join(service.root, 'run/systemd/system'), { recursive: true });
  put(service.root, 'etc/systemd/system/multi-user.target.wants/kdump.service');
});
afterEach(() => service.remove());

const status = () => judgeStatus(readStatusFacts(readSettings(service.root), service));
const item = (name: string) => status().items.find((candidate) => candidate.name === name);

test('a machine that is armed and tested: everything is right', () => {
  const { setup } = start(settings, service).armed;
  recordTest(service.directory, { at: 'today', setup, passed: true, detail: '/var/crash/x' });
  recordTarget(service.directory, {
    at: 'today',
    target: 'directory /var/crash',
    reachable: true,
    detail: null,
  });
  const { operational, items, untestedSince, lastCrash } = status();
  expect({ operational, untestedSince, lastCrash }).toEqual({
    operational: true,
    untestedSince: null,
    lastCrash: null,
  });
  expect(items.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'enabled ok',
    'settings ok',
    'reserved memory ok',
    'capture kernel ok',
    'capture image ok',
    'inputs ok',
    'target directory /var/crash ok',
    'test ok',
  ]);
});

test('a status takes no lock and changes nothing', () => {
  start(settings, service);
  const { release: unlock } = service.lock();
  const before = readState(service.directory);
  expect(status().operational).toBe(true);
  expect(readState(service.directory)).toEqual(before);
  unlock();
});

test('a machine that is not armed', () => {
  expect(status()).toMatchObject({ operational: false });
  expect(item('capture kernel')).toMatchObject({ state: 'fail', actual: 'not loaded' });
  expect(item('capture image')).toBeUndefined();
  // Whoever crashed it now would lose the crash.
  expect(item('test')).toEqual({ name: 'test', state: 'unknown', actual: 'none was made' });
});

test('no memory is reserved', () => {
  service.crashSize = 0;
  expect(item('reserved memory')).toMatchObject({
    state: 'fail',
    actual: 'No memory reserved for crash kernel',
    fix: expect.stringContaining('crashkernel'),
  });
  // Nothing that starting could mend.
  expect(item('capture kernel')).toEqual({
    name: 'capture kernel',
    state: 'fail',
    actual: 'not loaded, since it has no memory',
  });
});

describe('what is not as it should be', () => {
  beforeEach(() => void start(settings, service));

  test('it is armed now, and will not be after the next boot', () => {
    service.remove();
    service = new FakeService();
    start(settings, service);
    expect(item('enabled')).toMatchObject({ state: 'unknown' });
    mkdirSync(join(service.root, 'run/systemd/system'), { recursive: true });
    expect(item('enabled')).toMatchObject({ state: 'warn', fix: 'systemctl enable kdump.service' });
    put(service.root, 'etc/default/kdump-tools', 'USE_KDUMP=0\n');
    expect(item('enabled')).toMatchObject({ state: 'fail', actual: 'no: USE_KDUMP=0' });
  });

  test('an error in the settings', () => {
    put(service.root, 'etc/kdump.conf', 'nonsense 1\n');
    expect(item('settings')).toMatchObject({ state: 'fail', actual: '1 error' });
  });

  test('inputs have changed', () => {
    service.changed = ['/a', '/b', '/c', '/d', '/e', '/f'];
    writeFileSync(join(service.root, `boot/vmlinuz-${release}`), 'another');
    expect(item('inputs')).toMatchObject({
      state: 'warn',
      actual: `changed since: /boot/vmlinuz-${release}, /a, /b, /c, /d and 2 more`,
      fix: 'kdumpctl restart',
    });
    service.changed = [];
    put(service.root, 'proc/cmdline', 'console=ttyS9');
    expect(item('inputs')!.actual).toMatch(/the command line of the capture kernel$/);
  });

  test('a test that is on its way is no other command line', () => {
    start(settings, service, { append: 'kdump_test_id=5' });
    expect(item('inputs')!.state).toBe('ok');
  });

  test('somebody else has loaded something', () => {
    service.bootId = 'boot-2';
    expect(item('capture image')).toMatchObject({
      state: 'unknown',
      actual: 'what is loaded was not loaded by kdumpctl',
    });
  });

  test('the record cannot be read', () => {
    put(service.directory, stateName, 'no json');
    expect(status().operational).toBe(true);
    expect(item('capture image')!.actual).toMatch(/state\.json: is not JSON/);
  });

  test('a target could not be written', () => {
    const target = 'directory /var/crash';
    recordTarget(service.directory, { at: 'now', target, reachable: true, detail: null });
    recordTarget(service.directory, { at: 'later', target, reachable: false, detail: 'EROFS' });
    expect(readState(service.directory).targets).toHaveLength(1);
    expect(item(`target ${target}`)).toMatchObject({
      state: 'fail',
      actual: 'could not be written at later: EROFS',
    });
  });
});

describe('the test', () => {
  test('is over with every other set-up', () => {
    const first = start(settings, service).armed;
    expect(item('test')).toMatchObject({ state: 'warn', actual: `untested since ${spoken(first.since)}` });
    recordTest(service.directory, { at: 'monday', setup: first.setup, passed: true, detail: null });
    expect(item('test')).toMatchObject({ state: 'ok', actual: 'passed at monday' });
    service.content = 'two';
    const second = start(settings, service).armed;
    expect(status().untestedSince).toBe(second.since);
    expect(item('test')!.actual).toBe(
      `untested since ${spoken(second.since)}; an earlier set-up passed at monday`,
    );
    service.content = 'one';
    start(settings, service);
    expect(item('test')!.state).toBe('ok');
  });

  test('that failed', () => {
    const { setup, since } = start(settings, service).armed;
    recordTest(service.directory, { at: 'monday', setup, passed: false, detail: 'no dump was found' });
    expect(item('test')).toMatchObject({ state: 'fail', actual: 'failed at monday: no dump was found' });
    expect(status().untestedSince).toBe(since);
  });
});

test('times are told as people read them', () => {
  expect(spoken('2026-11-21T13:05:17.123Z')).toBe('2026-11-21 13:05:17 UTC');
  expect(spoken('monday')).toBe('monday');
});
