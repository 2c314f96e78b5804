import { appendFileSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyPlan, type Doors } from '../../src/kexec/apply.ts';
import { readInitrd, readKernel } from '../../src/kexec/files.ts';
import type { MachineFacts } from '../../src/kexec/machine.ts';
import { type LoadPlan, planUnload } from '../../src/kexec/plan.ts';
import type { ImageType } from '../../src/kexec/uapi.ts';
import type { CallResult } from '../../src/system/kexec.ts';
import { errorOf, machineOf, planWith } from './fixtures.ts';
import { syntheticHead, syntheticSize } from './synthetic-kernel.ts';

const { EBADF, EINVAL, EPERM, EBUSY, EADDRNOTAVAIL } = constants.errno;
const ok: CallResult = { ok: true };
const failed = (errno: number): CallResult => ({ ok: false, errno });

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

const loadPlan = (request: Partial<Parameters<typeof planWith>[0]> = {}, withInitrd = true): LoadPlan =>
  planWith(request, { kernel: readKernel(kernel), initrd: withInitrd ? readInitrd(initrd) : null });

type Call = {
  kernelFd: number;
  initrdFd: number;
  commandLine: string;
  flags: number;
};

/**
 * A kernel that answers as it is told and remembers what it was asked.
 * @param loaded what /sys says before the first and after the last call.
 */
function fakeKernel(
  answers: readonly CallResult[],
  loaded: { before: boolean | null; after: boolean | null },
  { type = 'crash' as ImageType, permission = {} as Partial<MachineFacts['permission']> } = {},
): Doors & { calls: Call[] } {
  const machine = machineOf('vm-512m');
  const calls: Call[] = [];
  return {
    calls,
    kexecFileLoad(kernelFd, initrdFd, commandLine, flags) {
      calls.push({ kernelFd, initrdFd, commandLine, flags });
      return answers[calls.length - 1] ?? failed(EBUSY);
    },
    readMachine: () => ({
      ...machine,
      permission: { ...machine.permission, ...permission },
      loaded: { ...machine.loaded, [type]: calls.length < answers.length ? loaded.before : loaded.after },
    }),
  };
}

const openFiles = () => readdirSync('/proc/self/fd').length;

describe('loading', () => {
  test('passes the files, the command line and the flags', () => {
    const doors = fakeKernel([ok], { before: false, after: true });
    const open = openFiles();
    expect(applyPlan(loadPlan(), doors)).toEqual({ before: false, after: true, flagBits: 2 });
    expect(doors.calls).toHaveLength(1);
    expect(doors.calls[0]).toMatchObject({ commandLine: 'nr_cpus=1 panic=-1', flags: 2 });
    expect(doors.calls[0]!.kernelFd).toBeGreaterThan(2);
    expect(doors.calls[0]!.initrdFd).toBeGreaterThan(2);
    expect(openFiles()).toBe(open);
  });
  test('without an initrd', () => {
    const doors = fakeKernel([ok], { before: false, after: true });
    applyPlan(loadPlan({}, false), doors);
    expect(doors.calls[0]).toMatchObject({ initrdFd: -1, flags: 6 });
  });
  test('is believed when /sys does not say', () => {
    const doors = fakeKernel([ok], { before: null, after: null });
    expect(applyPlan(loadPlan(), doors)).toMatchObject({ after: null });
  });
  test('is not believed when /sys says otherwise', () => {
    const error = errorOf(() => applyPlan(loadPlan(), fakeKernel([ok], { before: false, after: false })));
    expect(error.code).toBe('not-loaded');
    expect(error.message).toMatch(/NOT armed/);
    expect(error.exitCode).toBe(255);
  });
});

describe('a load that fails says what is armed now', () => {
  test('the old image is gone', () => {
    const open = openFiles();
    const doors = fakeKernel([failed(EADDRNOTAVAIL)], { before: true, after: false });
    const error = errorOf(() => applyPlan(loadPlan(), doors));
    expect(error.code).toBe('load-failed');
    expect(error.message).toMatch(/EADDRNOTAVAIL.*NOT armed.*the one that was is gone/);
    expect(error.facts).toMatchObject({ loadedBefore: true, loadedAfter: false, errno: 'EADDRNOTAVAIL' });
    expect(openFiles()).toBe(open);
  });
  test('the old image is still there', () => {
    const doors = fakeKernel([failed(EBUSY)], { before: true, after: true });
    const error = errorOf(() => applyPlan(loadPlan(), doors));
    expect(error.message).toMatch(/EBUSY.*the machine is armed/);
    expect(error.message).not.toMatch(/gone/);
  });
  test('there was none', () => {
    const error = errorOf(() =>
      applyPlan(loadPlan(), fakeKernel([failed(EPERM)], { before: false, after: false })),
    );
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
    expect(errorOf(() => applyPlan(loadPlan(), doors)).code).toBe(code);
    expect(errorOf(() => applyPlan(planUnload('crash', machineOf('vm-512m')), doors)).code).toBe(code);
    expect(doors.calls).toEqual([]);
  });
  test('when a file has changed or gone since it was checked', () => {
    const plan = loadPlan();
    const doors = fakeKernel([ok], { before: true, after: true });
    const open = openFiles();
    appendFileSync(initrd, 'more');
    expect(errorOf(() => applyPlan(plan, doors)).message).toMatch(/initrd .* has 13 bytes now, 9 when/);
    rmSync(initrd);
    expect(errorOf(() => applyPlan(plan, doors)).code).toBe('initrd-file');
    truncateSync(kernel, 4096);
    expect(errorOf(() => applyPlan(plan, doors)).code).toBe('file-changed');
    expect(doors.calls).toEqual([]);
    expect(openFiles()).toBe(open);
  });
});

describe('KEXEC_FILE_DEBUG', () => {
  const loaded = { before: false, after: true };
  test('is passed to a kernel that knows it', () => {
    const doors = fakeKernel([failed(EBADF), ok], loaded);
    expect(applyPlan(loadPlan({ debug: true }), doors).flagBits).toBe(0x0a);
    expect(doors.calls.map(({ flags }) => flags)).toEqual([0x0c, 0x0a]);
    // The question is about no file and the other image, so that it cannot disarm the machine.
    expect(doors.calls[0]).toMatchObject({ kernelFd: -1, initrdFd: -1 });
  });
  test.each([EINVAL, EPERM, EBUSY])('is not passed after errno %d', (errno) => {
    const doors = fakeKernel([failed(errno), ok], loaded);
    expect(applyPlan(loadPlan({ debug: true }), doors).flagBits).toBe(2);
    expect(doors.calls.map(({ flags }) => flags)).toEqual([0x0c, 0x02]);
  });
  test('is not asked about where asking would be counted', () => {
    const permission = { limits: { crash: -1, normal: 1 } };
    const doors = fakeKernel([ok], loaded, { permission });
    applyPlan(loadPlan({ debug: true }), doors);
    expect(doors.calls.map(({ flags }) => flags)).toEqual([2]);
  });
  test('is not asked about without -d', () => {
    const doors = fakeKernel([ok], loaded);
    applyPlan(loadPlan(), doors);
    expect(doors.calls).toHaveLength(1);
  });
});

describe('unloading', () => {
  const crash = planUnload('crash', machineOf('vm-512m'));
  test('the crash image, and the other one', () => {
    const doors = fakeKernel([ok], { before: true, after: false });
    expect(applyPlan(crash, doors)).toEqual({ before: true, after: false, flagBits: 3 });
    expect(doors.calls).toEqual([{ kernelFd: -1, initrdFd: -1, commandLine: '', flags: 3 }]);
    const normal = fakeKernel([ok], { before: true, after: false }, { type: 'normal' });
    applyPlan(planUnload('normal', machineOf('vm-512m')), normal);
    expect(normal.calls[0]!.flags).toBe(1);
  });
  test('failing', () => {
    const error = errorOf(() => applyPlan(crash, fakeKernel([failed(EBUSY)], { before: true, after: true })));
    expect(error.code).toBe('unload-failed');
    expect(error.message).toMatch(/EBUSY.*the machine is armed/);
  });
  test('is not believed when /sys says otherwise', () => {
    const error = errorOf(() => applyPlan(crash, fakeKernel([ok], { before: true, after: true })));
    expect(error.code).toBe('still-loaded');
  });
});
