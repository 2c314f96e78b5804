import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  appendParameters,
  reusedCommandLine,
  splitWords,
  withoutParameters,
} from '../../src/kexec/command-line.ts';

describe('splitWords', () => {
  test('splits at white space outside quotes', () => {
    expect(splitWords('ro  quiet\tdyndbg="file a.c +p; file b.c +p" x="" "y z=1" -- init')).toEqual([
      'ro',
      'quiet',
      'dyndbg="file a.c +p; file b.c +p"',
      'x=""',
      '"y z=1"',
      '--',
      'init',
    ]);
    expect(splitWords('a="never closed b')).toEqual(['a="never closed b']);
    expect(splitWords('  ')).toEqual([]);
  });
  test('loses nothing but the white space between words', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '=', '"', ' ', '-', 'é') }), (line) => {
        expect(splitWords(line).join('').replaceAll(' ', '')).toBe(line.replaceAll(' ', ''));
      }),
    );
  });
});

describe('reusedCommandLine', () => {
  const running = 'BOOT_IMAGE=/vmlinuz-6.1 root=/dev/vda1 crashkernel=256M,high crashkernel=64M,low quiet';
  test('for a crash kernel', () => {
    expect(reusedCommandLine(running, true)).toBe('root=/dev/vda1 quiet');
  });
  test('for a reboot crashkernel= stays', () => {
    expect(reusedCommandLine(running, false)).toBe(
      'root=/dev/vda1 crashkernel=256M,high crashkernel=64M,low quiet',
    );
  });
  test('compares whole names, wherever a name like it stands', () => {
    const line =
      'xcrashkernel=1 crashkernel_x=2 crashkernel BOOT_IMAGEX=3 crashkernel=4 MY_BOOT_IMAGE=5 a=crashkernel=6';
    expect(reusedCommandLine(line, true)).toBe(
      'xcrashkernel=1 crashkernel_x=2 BOOT_IMAGEX=3 MY_BOOT_IMAGE=5 a=crashkernel=6',
    );
  });
  test('drops quoted words whole and leaves the arguments of init alone', () => {
    expect(reusedCommandLine('BOOT_IMAGE="/a b" "crashkernel=1M" ro -- crashkernel=2M', true)).toBe(
      'ro -- crashkernel=2M',
    );
  });
  test('never leaves a crashkernel parameter, and keeps every other word', () => {
    const word = fc.constantFrom(
      'ro',
      'crashkernel=1G',
      'crashkernel',
      'xcrashkernel=1',
      'a="b c"',
      'BOOT_IMAGE=/x',
    );
    fc.assert(
      fc.property(fc.array(word), (words) => {
        expect(splitWords(reusedCommandLine(words.join(' '), true))).toEqual(
          words.filter((w) => !['crashkernel=1G', 'crashkernel', 'BOOT_IMAGE=/x'].includes(w)),
        );
      }),
    );
  });
});

test('parameters are appended before the arguments of init', () => {
  expect(appendParameters('ro quiet', 'nr_cpus=1 panic=-1')).toBe('ro quiet nr_cpus=1 panic=-1');
  expect(appendParameters('ro -- single', 'nr_cpus=1')).toBe('ro nr_cpus=1 -- single');
  expect(appendParameters('', 'nr_cpus=1')).toBe('nr_cpus=1');
  expect(appendParameters('ro', '')).toBe('ro');
});

test('without names nothing is dropped', () => {
  expect(withoutParameters('a b=1', [])).toBe('a b=1');
});
