// From files to plans and back to a load that is made again, with nothing replaced but the kernel's answers.
import { cpSync, fstatSync, mkdtempSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Doors } from '../../src/kexec/apply.ts';
import { armCrashKernel } from '../../src/kexec/arm.ts';
import { readLastGood } from '../../src/kexec/last-good.ts';
import { readLoadFacts } from '../../src/kexec/load-facts.ts';
import { planLoad } from '../../src/kexec/plan.ts';
import { checkType } from '../../src/kexec/plan-checks.ts';
import type { CallResult } from '../../src/system/kexec.ts';
import { buildUki } from '../helpers/uki.ts';
import { failed, ok } from './fake-kernel.ts';
import { errorOf, fixtureRoot, machineOf, type Wanted, wishFor } from './fixtures.ts';
import { smallBzImage, smallVmlinux } from './image/kernels.ts';

let dir: string;
const file = (name: string) => join(dir, name);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kexec-load-facts-'));
  writeFileSync(file('initrd'), 'an initrd of its own');
  writeFileSync(file('vmlinux'), smallVmlinux());
  writeFileSync(file('garbage'), 'no kernel '.repeat(999));
  writeFileSync(
    file('uki'),
    gzipSync(
      buildUki({
        linux: smallBzImage(),
        initrd: Buffer.from('initrd inside'),
        cmdline: 'inside crashkernel=1G\n',
      }),
    ),
  );
});
afterEach(() => rmSync(dir, { recursive: true }));

const read = (name: string, initrd: string | null, wanted: Wanted = {}) =>
  readLoadFacts(fixtureRoot('lab-1g'), file(name), initrd && file(initrd), wishFor(wanted).request, 'zeros');
const planOf = (name: string, initrd: string | null, wanted: Wanted = {}) =>
  planLoad(wishFor(wanted), read(name, initrd, wanted));

describe('a unified kernel image', () => {
  test('brings its initrd and its command line', () => {
    const plan = planOf('uki', null, { append: null });
    expect(plan).toMatchObject({
      commandLine: 'inside',
      kernel: { kind: 'bzImage', wrapping: ['gzip', 'uki'] },
      initrd: { size: 13 },
      first: { flags: ['KEXEC_FILE_ON_CRASH'] },
    });
    const initrd = plan.fallback?.segments.find(({ name }) => name === 'initrd');
    expect(Buffer.from(initrd!.bytes).toString()).toBe('initrd inside');
  });
  test('gives way to what is asked for', () => {
    expect(planOf('uki', 'initrd', { append: 'mine' })).toMatchObject({
      commandLine: 'mine',
      initrd: { path: file('initrd'), size: 20 },
    });
  });
  test('is a uki to -t', () => {
    const { kernel } = read('uki', null);
    checkType('uki', kernel);
    expect(errorOf(() => checkType('bzImage', kernel)).message).toMatch(
      /^wrong file type bzImage, .*uki is uki$/,
    );
    const vmlinux = read('vmlinux', null).kernel;
    checkType('elf-x86_64', vmlinux);
    expect(errorOf(() => checkType('uki', vmlinux)).message).toMatch(/is elf-x86_64$/);
  });
});

test('a vmlinux is placed', () => {
  const plan = planOf('vmlinux', 'initrd');
  expect(plan.first.syscall).toBe('kexec_load');
  expect(plan.noFallback).toMatch(/only kexec_load takes a vmlinux/);
});

test('what is no kernel is refused in words that scripts know', () => {
  const error = errorOf(() => read('garbage', null));
  expect(error).toMatchObject({ code: 'not-a-kernel', exitCode: 255, facts: { path: file('garbage') } });
  expect(error.message).toMatch(/^Cannot determine the file type of \S+garbage: not an x86 kernel/);
});

test('the seed of what is only looked at is always the same, and of a load never', () => {
  const digestOf = (seed: 'zeros' | 'random') => {
    const { request } = wishFor();
    return readLoadFacts(fixtureRoot('lab-1g'), file('uki'), null, request, seed).place('x').digest;
  };
  expect(digestOf('zeros')).toBe(digestOf('zeros'));
  expect(digestOf('random')).not.toBe(digestOf('random'));
});

test('a kept unified image is loaded again, with what was inside of it', () => {
  let armed = false;
  const answers: CallResult[] = [ok, failed(constants.errno.EADDRNOTAVAIL), ok];
  const calls: { kernel: number; initrd: string; commandLine: string }[] = [];
  const textOf = (fd: number): string => {
    const bytes = Buffer.alloc(fstatSync(fd).size);
    readSync(fd, bytes, 0, bytes.length, 0);
    return bytes.toString();
  };
  const doors: Doors = {
    kexecFileLoad(kernel, initrd, commandLine) {
      calls.push({ kernel: fstatSync(kernel).size, initrd: textOf(initrd), commandLine });
      const answer = answers[calls.length - 1]!;
      armed = answer.ok;
      return answer;
    },
    kexecLoad: () => expect.fail('nothing is placed'),
    readMachine: () => {
      const machine = machineOf('lab-1g');
      return { ...machine, loaded: { ...machine.loaded, crash: armed } };
    },
  };
  const arm = (name: string, initrd: string | null, append: string | null) => {
    const wish = wishFor({ append });
    const facts = read(name, initrd);
    const readFacts = readLoadFacts.bind(null, fixtureRoot('lab-1g'));
    return armCrashKernel(planLoad(wish, facts), wish, facts, { directory: file('armed'), readFacts, doors });
  };
  expect(arm('uki', null, null).warnings).toEqual([]);
  const kept = readLastGood(file('armed'))!;
  expect(kept).toMatchObject({
    kernel: { path: file('uki') },
    initrd: null,
    wish: { request: { append: 'inside' } },
  });

  cpSync(file('uki'), file('other'));
  rmSync(file('uki'));
  expect(errorOf(() => arm('other', 'initrd', 'other')).facts).toMatchObject({ rearmed: true });
  expect(armed).toBe(true);
  const inside = { kernel: smallBzImage().length, initrd: 'initrd inside', commandLine: 'inside' };
  expect(calls).toEqual([
    inside,
    { ...inside, initrd: readFileSync(file('initrd'), 'utf8'), commandLine: 'other' },
    inside,
  ]);
});
