import {
  chmodSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Doors } from '../../src/kexec/apply.ts';
import { armCrashKernel, disarm } from '../../src/kexec/arm.ts';
import { readLastGood } from '../../src/kexec/last-good.ts';
import { type LoadFacts, planLoad, planUnload } from '../../src/kexec/plan.ts';
import type { CallResult } from '../../src/system/kexec.ts';
import { failed, ok } from './fake-kernel.ts';
import { errorOf, factsWith, initrdFile, kernelFile, machineOf, type Wanted, wishFor } from './fixtures.ts';
import { syntheticHead, syntheticSize } from './synthetic-kernel.ts';

const { EADDRNOTAVAIL, EBUSY, ENOEXEC, EPERM } = constants.errno;

let dir: string;
let directory: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kexec-arm-'));
  directory = join(dir, 'armed');
  writeFileSync(file('vmlinuz'), syntheticHead());
  truncateSync(file('vmlinuz'), syntheticSize);
  writeFileSync(file('initrd'), 'an initrd');
});
afterEach(() => rmSync(dir, { recursive: true }));
const file = (name: string) => join(dir, name);

/** As readLoadFacts, from files of a test. */
function readFacts(kernel: string, initrd: string | null): LoadFacts {
  return factsWith({
    kernel: { ...kernelFile(), path: kernel, openFile: () => openSync(kernel, 'r') },
    initrd:
      initrd === null
        ? null
        : { ...initrdFile(statSync(initrd).size, initrd), openFile: () => openSync(initrd, 'r') },
  });
}

/**
 * A kernel with a crash image or none. Answers run out in order, then all is well. Like Linux it drops the old image
 * before it looks at the new one, but not when it refuses at the door.
 */
class Kernel implements Doors {
  armed = false;
  readonly calls: { syscall: string; commandLine: string; kernel: string }[] = [];
  answers: CallResult[] = [];

  kexecFileLoad(fd: number, _initrd: number, commandLine: string, flags: number): CallResult {
    const kernel = fd < 0 ? '' : readFileSync(`/proc/self/fd/${fd}`).subarray(-4).toString();
    return this.#answer('file', commandLine, kernel, (flags & 1) !== 0);
  }
  kexecLoad(): CallResult {
    return this.#answer('load', '', '', false);
  }
  readMachine() {
    const machine = machineOf('vm-512m');
    return { ...machine, bootId: 'this boot', loaded: { ...machine.loaded, crash: this.armed } };
  }
  #answer(syscall: string, commandLine: string, kernel: string, unload: boolean): CallResult {
    this.calls.push({ syscall, commandLine, kernel });
    const answer = this.answers.shift() ?? ok;
    if (answer.ok) this.armed = !unload;
    else if (answer.errno !== EBUSY && answer.errno !== EPERM) this.armed = false;
    return answer;
  }
}

function arm(kernel: Kernel, wanted: Wanted = {}, name = 'vmlinuz') {
  const wish = wishFor({ append: 'a=1', ...wanted });
  const facts = readFacts(file(name), file('initrd'));
  return armCrashKernel(planLoad(wish, facts), wish, facts, { directory, readFacts, doors: kernel });
}

describe('a load that works', () => {
  test('is kept with all that makes it again', () => {
    const kernel = new Kernel();
    const { applied, warnings } = arm(kernel, { append: 'b=2', reuseCommandLine: true, debug: true });
    expect(applied).toMatchObject({ after: true });
    expect(warnings).toEqual([]);
    expect(readLastGood(directory)).toMatchObject({
      kernel: { path: file('vmlinuz'), size: syntheticSize, version: expect.stringMatching(/^6\.1/) },
      initrd: { path: file('initrd'), size: 9 },
      wish: {
        request: {
          append: expect.stringMatching(/^root=\/dev\/vda1 .* b=2$/),
          reuseCommandLine: false,
          debug: false,
        },
        syscalls: { choice: 'kexec_file_load' },
      },
      syscall: 'kexec_file_load',
      flagBits: 2,
    });
  });
  test('is kept with the call that worked', () => {
    const kernel = new Kernel();
    kernel.answers = [failed(ENOEXEC)];
    arm(kernel);
    expect(readLastGood(directory)).toMatchObject({
      syscall: 'kexec_load',
      wish: { syscalls: { choice: 'kexec_load' } },
    });
  });
  test('and cannot be kept has worked all the same', () => {
    arm(new Kernel());
    chmodSync(directory, 0o777);
    const { applied, warnings } = arm(new Kernel());
    expect(applied.after).toBe(true);
    expect(warnings).toMatchObject([
      expect.stringMatching(/is loaded, but could not be kept .*armed: is no directory/),
    ]);
  });
});

describe('a load that fails', () => {
  let kernel: Kernel;
  beforeEach(() => {
    kernel = new Kernel();
    arm(kernel);
    kernel.calls.length = 0;
  });

  test('and has dropped what was armed: the last good one is loaded again', () => {
    kernel.answers = [failed(EADDRNOTAVAIL)];
    const error = errorOf(() => arm(kernel, { append: 'new=1' }));
    expect(kernel.calls.map(({ commandLine }) => commandLine)).toEqual(['new=1', 'a=1']);
    expect(kernel.armed).toBe(true);
    expect(error).toMatchObject({
      code: 'load-failed',
      exitCode: 255,
      facts: { errno: 'EADDRNOTAVAIL', loadedBefore: true, loadedAfter: true, rearmed: true },
    });
    const { loaded } = readLastGood(directory)!;
    expect(error.message).toMatch(/^kexec_file_load failed: EADDRNOTAVAIL: /);
    expect(error.message).toContain(
      `the last good one was loaded again: the machine is armed with ${file('vmlinuz')} (6.1.0-56-cloud-amd64) as it was loaded at ${loaded}`,
    );
    expect(error.message).not.toMatch(/NOT armed/);
  });
  test('of a kernel that was written over the good one: its copy is loaded', () => {
    writeFileSync(file('vmlinuz'), 'bad!', { flag: 'r+' });
    truncateSync(file('vmlinuz'), syntheticSize - 4);
    writeFileSync(file('vmlinuz'), 'bad!', { flag: 'a' });
    kernel.answers = [failed(EADDRNOTAVAIL)];
    errorOf(() => arm(kernel));
    expect(kernel.calls.map((call) => call.kernel)).toEqual(['bad!', '\0\0\0\0']);
    expect(kernel.armed).toBe(true);
  });
  test('twice in a row: what is kept stays', () => {
    for (const attempt of [1, 2]) {
      kernel.answers = [failed(EADDRNOTAVAIL)];
      expect(errorOf(() => arm(kernel)).facts.rearmed, `${attempt}`).toBe(true);
    }
  });
  test('by both calls', () => {
    kernel.answers = [failed(ENOEXEC), failed(EADDRNOTAVAIL)];
    const error = errorOf(() => arm(kernel));
    expect(kernel.calls.map(({ syscall }) => syscall)).toEqual(['file', 'load', 'file']);
    expect(error.message).toMatch(
      /^kexec_load failed: .*; before it, kexec_file_load failed: .*loaded again/,
    );
  });
  test('and has left what was armed: nothing more is done', () => {
    kernel.answers = [failed(EBUSY)];
    const error = errorOf(() => arm(kernel));
    expect(kernel.calls).toHaveLength(1);
    expect(error.message).toMatch(/the machine is armed: a crash kernel is loaded$/);
    expect(error.facts.rearmed).toBeUndefined();
  });
  test('and nothing was armed before: nothing is loaded that was not asked for', () => {
    kernel.armed = false;
    kernel.answers = [failed(EADDRNOTAVAIL)];
    expect(errorOf(() => arm(kernel)).message).toMatch(/NOT armed/);
    expect(kernel.calls).toHaveLength(1);
  });
  test('and nothing is kept', () => {
    rmSync(directory, { recursive: true });
    kernel.answers = [failed(EADDRNOTAVAIL)];
    const error = errorOf(() => arm(kernel));
    expect(error.message).toMatch(/NOT armed.*no earlier load is kept in/);
    expect(error.facts).toMatchObject({ loadedAfter: false, rearmed: false });
  });
  test.each([
    [
      'is no record',
      () => writeFileSync(join(directory, 'armed.json'), '{}'),
      /armed\.json: is not a record/,
    ],
    [
      'has lost its files',
      () => {
        rmSync(file('vmlinuz'));
        const { sha256 } = readLastGood(directory)!.kernel;
        rmSync(join(directory, `kernel-${sha256}`));
      },
      /is not the kernel that was kept/,
    ],
  ])('and what is kept %s', (_, spoil, message) => {
    const wish = wishFor();
    const facts = readFacts(file('vmlinuz'), file('initrd'));
    const opened = openSync(file('vmlinuz'), 'r');
    const held = { ...facts, kernel: { ...facts.kernel, openFile: () => opened } };
    const plan = planLoad(wish, held);
    spoil();
    kernel.answers = [failed(EADDRNOTAVAIL)];
    const options = { directory, readFacts, doors: kernel };
    const error = errorOf(() => armCrashKernel(plan, wish, held, options));
    expect(error.code).toBe('load-failed');
    expect(error.message).toMatch(/NOT armed.*the last good load could not be made again: /);
    expect(error.message).toMatch(message);
    expect(error.facts).toMatchObject({ loadedAfter: false, rearmed: false });
  });
  test('and the last good one is refused as well', () => {
    kernel.answers = [failed(EADDRNOTAVAIL), failed(EPERM)];
    const error = errorOf(() => arm(kernel));
    expect(error.message).toMatch(
      /EADDRNOTAVAIL.*NOT armed.*could not be made again: kexec_file_load failed: EPERM/,
    );
  });
});

describe('unloading', () => {
  test('forgets what was kept', () => {
    const kernel = new Kernel();
    arm(kernel);
    const { applied, warnings } = disarm(planUnload('crash', kernel.readMachine()), directory, kernel);
    expect(applied.after).toBe(false);
    expect(warnings).toEqual([]);
    expect(readLastGood(directory)).toBeNull();
  });
  test('that fails forgets nothing', () => {
    const kernel = new Kernel();
    arm(kernel);
    kernel.answers = [failed(EBUSY)];
    errorOf(() => disarm(planUnload('crash', kernel.readMachine()), directory, kernel));
    expect(readLastGood(directory)).not.toBeNull();
  });
});
