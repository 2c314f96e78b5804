import {
  appendFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyPlan } from '../../src/kexec/apply.ts';
import { type LoadFacts, planJumpBack, planLoad, planUnload } from '../../src/kexec/plan.ts';
import { failed, fakeKernel, ok } from './fake-kernel.ts';
import { errorOf, factsWith, initrdFile, kernelFile, machineOf, type Wanted, wishFor } from './fixtures.ts';
import { syntheticHead, syntheticSize } from './synthetic-kernel.ts';

const { EBADF, EINVAL, ENOSYS, ENOEXEC, EPERM, EBUSY, ENOMEM, EADDRNOTAVAIL, EOPNOTSUPP } = constants.errno;
const EKEYREJECTED = 129;

let dir: string;
let kernel: string;
let initrd: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kexec-apply-'));
  kernel = join(dir, 'vmlinuz');
  initrd = join(dir, 'initrd');
  writeFileSync(kernel, syntheticHead());
  truncateSync(kernel, syntheticSize);
  writeFileSync(initrd, 'an initrd');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Files that are opened by their names, as they are at that time. */
function factsOfFiles(withInitrd = true): LoadFacts {
  const { size } = statSync(initrd);
  return factsWith({
    kernel: { ...kernelFile(), path: kernel, openFile: () => openSync(kernel, 'r') },
    initrd: withInitrd ? { ...initrdFile(size, initrd), openFile: () => openSync(initrd, 'r') } : null,
  });
}
/** Plans and applies a load of these files. */
function load(doors: ReturnType<typeof fakeKernel>, wanted: Wanted = {}, withInitrd = true) {
  const facts = factsOfFiles(withInitrd);
  return applyPlan(planLoad(wishFor(wanted), facts), facts, doors);
}
const fileOnly: Wanted = { choice: 'kexec_file_load' };
const placedOnly: Wanted = { choice: 'kexec_load' };

const openFiles = () => readdirSync('/proc/self/fd').length;

describe('loading', () => {
  test('passes the files, the command line and the flags', () => {
    const doors = fakeKernel([ok], { before: false, after: true });
    const open = openFiles();
    expect(load(doors)).toEqual({
      before: false,
      after: true,
      syscall: 'kexec_file_load',
      flagBits: 2,
      fellBack: null,
    });
    expect(doors.calls).toHaveLength(1);
    expect(doors.calls[0]).toMatchObject({ commandLine: 'nr_cpus=1 panic=-1', flags: 2 });
    expect(doors.calls[0]!.kernelFd).toBeGreaterThan(2);
    expect(doors.calls[0]!.initrdFd).toBeGreaterThan(2);
    expect(openFiles()).toBe(open);
  });
  test('without an initrd', () => {
    const doors = fakeKernel([ok], { before: false, after: true });
    load(doors, {}, false);
    expect(doors.calls[0]).toMatchObject({ initrdFd: -1, flags: 6 });
  });
  test('by kexec_load, which is given bytes and no files', () => {
    const doors = fakeKernel([ok], { before: false, after: true });
    const open = openFiles();
    expect(load(doors, placedOnly)).toMatchObject({ syscall: 'kexec_load', flagBits: 0x3e0001 });
    expect(doors.calls).toMatchObject([{ entry: 0x1f000000, flags: 0x3e0001 }]);
    expect(doors.calls[0]!.segments?.map(({ name }) => name)).toEqual(['kernel', 'purgatory']);
    expect(openFiles()).toBe(open);
  });
  test('is believed when /sys does not say', () => {
    expect(load(fakeKernel([ok], { before: null, after: null }))).toMatchObject({ after: null });
  });
  test('is not believed when /sys says otherwise', () => {
    const error = errorOf(() => load(fakeKernel([ok], { before: false, after: false })));
    expect(error.code).toBe('not-loaded');
    expect(error.message).toMatch(/NOT armed/);
    expect(error.exitCode).toBe(255);
  });
});

describe('the fallback', () => {
  test.each([ENOSYS, EINVAL, ENOEXEC, EOPNOTSUPP])('is tried after errno %d', (errno) => {
    const doors = fakeKernel([failed(errno), ok], { before: true, after: true });
    const applied = load(doors);
    expect(applied).toMatchObject({ syscall: 'kexec_load', flagBits: 0x3e0001 });
    expect(applied.fellBack?.message).toMatch(/^kexec_file_load failed: E/);
    expect(doors.calls.map(({ segments }) => segments !== undefined)).toEqual([false, true]);
  });
  test.each([EPERM, EBUSY, ENOMEM, EADDRNOTAVAIL, EKEYREJECTED, constants.errno.EACCES])(
    'is not tried after errno %d',
    (errno) => {
      const doors = fakeKernel([failed(errno)], { before: true, after: true });
      expect(errorOf(() => load(doors)).exitCode).toBe(255);
      expect(doors.calls).toHaveLength(1);
    },
  );
  test('is not tried where there is none', () => {
    const doors = fakeKernel([failed(ENOEXEC)], { before: false, after: false });
    const error = errorOf(() => load(doors, fileOnly));
    expect(error).toMatchObject({ code: 'load-failed', exitCode: 253 });
    expect(doors.calls).toHaveLength(1);
  });
  test('failing says both', () => {
    const doors = fakeKernel([failed(ENOEXEC), failed(EADDRNOTAVAIL)], { before: false, after: false });
    const error = errorOf(() => load(doors));
    expect(error.message).toMatch(
      /^kexec_load failed: EADDRNOTAVAIL: .*; before it, kexec_file_load failed: ENOEXEC: .*NOT armed/,
    );
    expect(error.facts).toMatchObject({
      errno: 'EADDRNOTAVAIL',
      syscall: 'kexec_load',
      firstErrno: 'ENOEXEC',
    });
    expect(error.exitCode).toBe(255);
  });
  test('is never tried under lockdown', () => {
    const machine = machineOf('vm-512m');
    const locked = { ...machine, permission: { ...machine.permission, lockdown: 'integrity' } };
    const doors = fakeKernel(
      [failed(EINVAL)],
      { before: false, after: false },
      { permission: locked.permission },
    );
    const facts = { ...factsOfFiles(), machine: locked };
    errorOf(() => applyPlan(planLoad(wishFor(), facts), facts, doors));
    expect(doors.calls).toHaveLength(1);
  });
});

describe('a load that fails says what is armed now', () => {
  test('the old image is gone', () => {
    const open = openFiles();
    const doors = fakeKernel([failed(EADDRNOTAVAIL)], { before: true, after: false });
    const error = errorOf(() => load(doors));
    expect(error.code).toBe('load-failed');
    expect(error.message).toMatch(/EADDRNOTAVAIL.*NOT armed.*the one that was is gone/);
    expect(error.facts).toMatchObject({ loadedBefore: true, loadedAfter: false, errno: 'EADDRNOTAVAIL' });
    expect(openFiles()).toBe(open);
  });
  test('the old image is still there', () => {
    const error = errorOf(() => load(fakeKernel([failed(EBUSY)], { before: true, after: true })));
    expect(error.message).toMatch(/EBUSY.*the machine is armed/);
    expect(error.message).not.toMatch(/gone/);
  });
  test('there was none', () => {
    const error = errorOf(() => load(fakeKernel([failed(EPERM)], { before: false, after: false })));
    expect(error.message).toMatch(/NOT armed/);
    expect(error.message).not.toMatch(/gone/);
  });
});

describe('nothing is touched', () => {
  test.each([
    [{ capSysBoot: false }, 'no-permission'],
    [{ loadDisabled: true }, 'kexec-load-disabled'],
    [{ limits: { crash: 0, normal: -1 } }, 'kexec-load-limit'],
  ])('when it is forbidden: %o', (permission, code) => {
    const doors = fakeKernel([ok], { before: true, after: true }, { permission });
    expect(errorOf(() => load(doors)).code).toBe(code);
    expect(errorOf(() => load(doors, placedOnly)).code).toBe(code);
    expect(errorOf(() => applyPlan(planUnload('crash', machineOf('vm-512m')), null, doors)).code).toBe(code);
    expect(doors.calls).toEqual([]);
  });
  test('when a file has changed or gone since it was checked', () => {
    const facts = factsOfFiles();
    const plan = planLoad(wishFor(), facts);
    const doors = fakeKernel([ok], { before: true, after: true });
    const open = openFiles();
    appendFileSync(initrd, 'more');
    const error = errorOf(() => applyPlan(plan, facts, doors));
    expect(error.message).toMatch(/initrd .* has 13 bytes now, 9 when/);
    rmSync(initrd);
    expect(() => applyPlan(plan, facts, doors)).toThrow(/ENOENT/);
    truncateSync(kernel, 4096);
    expect(errorOf(() => applyPlan(plan, facts, doors)).code).toBe('file-changed');
    expect(doors.calls).toEqual([]);
    expect(openFiles()).toBe(open);
  });
});

describe('KEXEC_FILE_DEBUG', () => {
  const loaded = { before: false, after: true };
  test('is passed to a kernel that knows it', () => {
    const doors = fakeKernel([failed(EBADF), ok], loaded);
    expect(load(doors, { debug: true }).flagBits).toBe(0x0a);
    expect(doors.calls.map(({ flags }) => flags)).toEqual([0x0c, 0x0a]);
    // The question is about no file and the other image, so that it cannot disarm the machine.
    expect(doors.calls[0]).toMatchObject({ kernelFd: -1, initrdFd: -1 });
  });
  test.each([EINVAL, EPERM, EBUSY])('is not passed after errno %d', (errno) => {
    const doors = fakeKernel([failed(errno), ok], loaded);
    expect(load(doors, { debug: true }).flagBits).toBe(2);
    expect(doors.calls.map(({ flags }) => flags)).toEqual([0x0c, 0x02]);
  });
  test('is not asked about where asking would be counted', () => {
    const doors = fakeKernel([ok], loaded, { permission: { limits: { crash: -1, normal: 1 } } });
    load(doors, { debug: true });
    expect(doors.calls.map(({ flags }) => flags)).toEqual([2]);
  });
  test('is not asked about without -d, and kexec_load has no such flag', () => {
    const doors = fakeKernel([ok], loaded);
    load(doors);
    expect(doors.calls).toHaveLength(1);
    const placed = fakeKernel([ok], loaded);
    load(placed, { ...placedOnly, debug: true });
    expect(placed.calls.map(({ flags }) => flags)).toEqual([0x3e0001]);
  });
});

describe('unloading', () => {
  const crash = planUnload('crash', machineOf('vm-512m'));
  test('the crash image, and the other one', () => {
    const doors = fakeKernel([ok], { before: true, after: false });
    expect(applyPlan(crash, null, doors)).toMatchObject({ before: true, after: false, flagBits: 3 });
    expect(doors.calls).toEqual([{ kernelFd: -1, initrdFd: -1, commandLine: '', flags: 3 }]);
    const normal = fakeKernel([ok], { before: true, after: false }, { type: 'normal' });
    applyPlan(planUnload('normal', machineOf('vm-512m')), null, normal);
    expect(normal.calls[0]!.flags).toBe(1);
  });
  test('by kexec_load where there is no kexec_file_load', () => {
    const doors = fakeKernel([failed(ENOSYS), ok], { before: true, after: false });
    expect(applyPlan(crash, null, doors)).toMatchObject({ syscall: 'kexec_load' });
    expect(doors.calls[1]).toEqual({ entry: 0, segments: [], flags: 0x3e0001 });
  });
  test('failing, with nothing tried after it', () => {
    const doors = fakeKernel([failed(EINVAL)], { before: true, after: true });
    const error = errorOf(() => applyPlan(crash, null, doors));
    expect(error.code).toBe('unload-failed');
    expect(error.message).toMatch(/EINVAL.*the machine is armed/);
    expect(doors.calls).toHaveLength(1);
  });
  test('is not believed when /sys says otherwise', () => {
    const error = errorOf(() => applyPlan(crash, null, fakeKernel([ok], { before: true, after: true })));
    expect(error.code).toBe('still-loaded');
  });
});

test('a way back is one segment of nothing', () => {
  const doors = fakeKernel([ok], { before: false, after: true }, { type: 'normal' });
  applyPlan(planJumpBack(0x1234000, machineOf('vm-512m')), null, doors);
  expect(doors.calls).toMatchObject([
    { entry: 0x1234000, flags: 0x3e0002, segments: [{ mem: 0, memsz: 0 }] },
  ]);
});
