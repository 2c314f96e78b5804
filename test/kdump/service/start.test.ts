import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { armDespite, rebuild, start, startEarly, stop } from '../../../src/kdump/service/start.ts';
import { readState, stateName, untestedSince } from '../../../src/kdump/service/state.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { errorOf } from '../../kexec/fixtures.ts';
import { FakeService, refused, release, settings } from './fixture.ts';

let service: FakeService;
beforeEach(() => {
  service = new FakeService();
});
afterEach(() => service.remove());
const images = () => service.loads.map(({ image }) => image.replace(/.*\//, ''));

describe('start', () => {
  test('loads the kernel with the image, and remembers what and when', () => {
    const started = start(settings, service);
    expect(started).toMatchObject({ outcome: 'armed', why: ['no crash kernel is loaded'] });
    expect(service.loads).toHaveLength(1);
    expect(service.loads[0]!.commandLine).toMatch(/^ro console=ttyS0 irqpoll nr_cpus=1 .*rootfstype=ramfs/);
    expect(service.loads[0]!.commandLine).not.toMatch(/root=|quiet|crashkernel|initramfs_options/);
    expect(readState(service.directory).armed).toMatchObject({
      bootId: 'boot-1',
      kernel: { path: `/boot/vmlinuz-${release}`, release },
      image: { path: '/var/lib/kdump/images/one.img', hash: 'one' },
      inputs: [{ path: '/etc/kdump.conf' }],
      saves: { path: '/var/crash', targets: [{ kind: 'directory', path: '/var/crash' }] },
    });
    expect(statSync(join(service.directory, stateName)).mode & 0o777).toBe(0o600);
    expect(statSync(service.directory).mode & 0o777).toBe(0o700);
    expect(service.lockedNow).toBe(false);
  });

  test('arms the machine also when that cannot be written down', () => {
    mkdirSync(join(service.directory, stateName), { recursive: true });
    const { outcome, warnings } = start(settings, service);
    expect([outcome, service.armed]).toEqual(['armed', true]);
    expect(warnings.at(-1)).toMatch(/^the machine is armed, but that could not be written down: EISDIR/);
  });

  test('does nothing when that is armed already', () => {
    start(settings, service);
    expect(start(settings, service)).toMatchObject({ outcome: 'already-armed', why: [] });
    expect(service.loads).toHaveLength(1);
  });

  test.each([
    [
      'the image',
      () => {
        service.content = 'two';
      },
      /capture image is another one/,
    ],
    [
      'the kernel',
      () => writeFileSync(join(service.root, `boot/vmlinuz-${release}`), 'new!', { flag: 'r+' }),
      /is another kernel/,
    ],
    [
      'the command line',
      () => writeFileSync(join(service.root, 'proc/cmdline'), 'console=ttyS1'),
      /command line .* is another one/,
    ],
    [
      'the boot',
      () => {
        service.bootId = 'boot-2';
      },
      /was not loaded by kdumpctl/,
    ],
  ])('loads over what is loaded when %s has changed', (_, change, why) => {
    start(settings, service);
    change();
    const started = start(settings, service);
    expect(started.outcome).toBe('armed');
    expect(started.why).toHaveLength(1);
    expect(started.why[0]).toMatch(why);
    expect(service.loads).toHaveLength(2);
    expect(start(settings, service).outcome).toBe('already-armed');
  });

  test('loads again when it is told to, and never unloads before', () => {
    start(settings, service);
    expect(start(settings, service, { again: true })).toMatchObject({ outcome: 'armed', why: [] });
    expect(service.loads).toHaveLength(2);
    expect(service.armed).toBe(true);
  });

  test('keeps since when a set-up is armed; a test that is on its way makes no other set-up', () => {
    const first = start(settings, service).armed;
    const tested = start(settings, service, { append: 'kdump_test_id=1' }).armed;
    expect(service.loads[1]!.commandLine).toMatch(/ kdump_test_id=1$/);
    expect(tested).toMatchObject({ setup: first.setup, since: first.since });
    service.content = 'two';
    const other = start(settings, service).armed;
    expect(other.setup).not.toBe(first.setup);
    expect(other.since).toBe(other.at);
    expect(untestedSince(readState(service.directory))).toBe(other.since);
  });

  test('remembers inputs that changed without a consequence', () => {
    start(settings, service);
    const prepare = service.prepareImage.bind(service);
    service.prepareImage = (...args) => ({ ...prepare(...args), inputs: [{ path: '/x', digest: 'y' }] });
    expect(start(settings, service).outcome).toBe('already-armed');
    expect(readState(service.directory).armed!.inputs).toEqual([{ path: '/x', digest: 'y' }]);
  });

  test('takes a record that cannot be read for none', () => {
    start(settings, service);
    writeFileSync(join(service.directory, stateName), '{"format":1}');
    expect(errorOf(() => readState(service.directory)).code).toBe('bad-state');
    expect(start(settings, service).why).toEqual(['what is loaded was not loaded by kdumpctl']);
    expect(readState(service.directory).armed).not.toBeNull();
  });

  test.each([
    [
      'no memory is reserved',
      () => {
        service.crashSize = 0;
      },
      /^No memory reserved for crash kernel$/,
    ],
    [
      'the kernel has no kdump',
      () => {
        service.unsupported = true;
      },
      /^Kdump is not supported on this kernel$/,
    ],
  ])('fails before anything is built when %s', (_, spoil, message) => {
    spoil();
    expect(errorOf(() => start(settings, service)).message).toMatch(message);
    expect(service.builds).toEqual([]);
    expect(service.lockedNow).toBe(false);
  });

  test('uses the image that KDUMP_IMAGE names as it is', () => {
    const named = { ...settings, image: { ...settings.image, path: '/my.img' } };
    expect(errorOf(() => start(named, service))).toMatchObject({ code: 'no-image' });
    writeFileSync(join(service.root, 'my.img'), 'mine');
    expect(start(named, service).armed.image).toMatchObject({ path: '/my.img', bytes: 4 });
    expect(service.builds).toEqual([]);
    writeFileSync(join(service.root, 'my.img'), 'mine, again');
    expect(start(named, service).why).toEqual(['the capture image is another one']);
  });

  test('refuses options of kexec that make no sense here', () => {
    const odd = { ...settings, kexecArgs: ['--load-preserve-context'] };
    expect(errorOf(() => start(odd, service)).message).toMatch(/^KEXEC_ARGS: unrecognized option/);
    expect(service.loads).toEqual([]);
  });
});

describe('a start that fails', () => {
  beforeEach(() => {
    start(settings, service);
    service.loads.length = 0;
  });
  const noImage = new KdumpError('no-busybox', 'busybox is not installed', { fix: 'Install it.' });

  test('leaves what is armed as it is when the image cannot be built', () => {
    service.failure = noImage;
    expect(errorOf(() => start(settings, service))).toMatchObject({
      code: 'no-busybox',
      message: 'busybox is not installed; the machine stays armed as it was',
      fix: 'Install it.',
      facts: { armed: true },
    });
    expect(service.armed).toBe(true);
    expect(service.loads).toEqual([]);
  });

  test('arms a machine that has come up with what it was armed with last', () => {
    service.armed = false;
    service.bootId = 'boot-2';
    service.failure = noImage;
    const error = errorOf(() => start(settings, service));
    expect(error.message).toMatch(
      /^busybox is not installed; meanwhile the machine is armed with .*one\.img/,
    );
    expect(error).toMatchObject({ code: 'no-busybox', fix: 'Install it.', facts: { armed: true } });
    expect(images()).toEqual(['one.img']);
    expect(readState(service.directory).armed!.bootId).toBe('boot-2');
  });

  test('says when that fails as well', () => {
    service.armed = false;
    service.failure = noImage;
    service.answers = [refused];
    expect(errorOf(() => start(settings, service)).message).toMatch(
      /^busybox is not installed; and what was armed last could not be loaded: .*EADDRNOTAVAIL/,
    );
  });

  test('loads the last good one again when the new one is refused', () => {
    service.content = 'two';
    service.answers = [refused];
    const error = errorOf(() => start(settings, service));
    expect(error.message).toMatch(/last good one was loaded again/);
    expect(service.armed).toBe(true);
    expect(readState(service.directory).armed!.image.hash).toBe('one');
  });

  test('because of the settings arms it, too', () => {
    const invalid = new KdumpError('config-invalid', '/etc/kdump.conf:1: error: x');
    expect(String(armDespite(invalid, service))).toMatch(/error: x; the machine stays armed as it was$/);
    service.armed = false;
    expect(String(armDespite(invalid, service))).toMatch(/error: x; meanwhile the machine is armed with/);
    expect(service.armed).toBe(true);
  });
});

describe('an early start', () => {
  test('loads what was armed before the machine went down, without building', () => {
    expect(startEarly(service)).toBeNull();
    start(settings, service, { append: 'kdump_test_id=7' });
    service.armed = false;
    service.bootId = 'boot-2';
    service.builds.length = 0;
    service.content = 'two';
    expect(startEarly(service)).toMatchObject({ image: { hash: 'one' }, bootId: 'boot-2' });
    expect(service.loads[1]!.commandLine).not.toContain('kdump_test_id');
    expect(service.builds).toEqual([]);
    expect(startEarly(service)).toBeNull();
  });

  test('is followed by one that has nothing to do', () => {
    start(settings, service);
    service.armed = false;
    service.bootId = 'boot-2';
    startEarly(service);
    expect(start(settings, service).outcome).toBe('already-armed');
  });

  test.each([
    ['the kernel', `boot/vmlinuz-${release}`, 'another'],
    ['the image', 'var/lib/kdump/images/one.img', undefined],
  ])('does nothing when %s is not what it was', (_, path, text) => {
    start(settings, service);
    service.armed = false;
    if (text === undefined) rmSync(join(service.root, path));
    else writeFileSync(join(service.root, path), text);
    expect(startEarly(service)).toBeNull();
    expect(service.loads).toHaveLength(1);
  });
});

test('stop unloads, and is not undone by an early start', () => {
  start(settings, service);
  expect(stop(service)).toEqual({ wasArmed: true, warnings: [] });
  expect(service.armed).toBe(false);
  expect(startEarly(service)).toBeNull();
});

test('stop calls nothing where nothing is loaded, and fails where nothing can be', () => {
  service.answers = [refused];
  expect(stop(service)).toEqual({ wasArmed: false, warnings: [] });
  expect(service.answers).toHaveLength(1);
  service.unsupported = true;
  expect(errorOf(() => stop(service)).code).toBe('kdump-unsupported');
});

test('rebuild builds whatever is there, and loads nothing', () => {
  start(settings, service);
  expect(rebuild(settings, service).path).toMatch(/one\.img$/);
  expect(service.builds.at(-1)).toMatchObject({ rebuild: 'always', release });
  expect(service.loads).toHaveLength(1);
  expect(readFileSync(join(service.root, 'var/lib/kdump/images/one.img'), 'utf8')).toBe('one');
});
