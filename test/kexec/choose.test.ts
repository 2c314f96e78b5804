import { describe, expect, test } from 'vitest';
import { chooseSyscalls, type SyscallChoice } from '../../src/kexec/choose.ts';
import { errorOf, kernelFile, machineOf, vmlinuxFile } from './fixtures.ts';

const machine = machineOf('vm-512m');
const locked = { ...machine, permission: { ...machine.permission, lockdown: 'integrity' } };
const bzImage = kernelFile();

const choose = (
  choice: SyscallChoice,
  { placing = false, file = false, kernel = bzImage, on = machine } = {},
) =>
  chooseSyscalls(
    {
      choice,
      placingOptions: placing ? ['--mem-min'] : [],
      fileOptions: file ? ['--force-dtb'] : [],
    },
    kernel,
    on,
  );

describe('which call, and what after it', () => {
  test.each([
    ['auto', {}, 'kexec_file_load', 'kexec_load', null],
    ['auto', { on: locked }, 'kexec_file_load', null, /lockdown \(integrity\) forbids/],
    ['auto', { placing: true }, 'kexec_load', null, /--mem-min/],
    ['auto', { file: true }, 'kexec_file_load', null, /--force-dtb/],
    ['auto', { kernel: vmlinuxFile }, 'kexec_load', null, /vmlinux/],
    ['kexec_file_load', {}, 'kexec_file_load', null, /-s/],
    ['kexec_file_load', { on: locked }, 'kexec_file_load', null, /-s/],
    ['kexec_load', {}, 'kexec_load', null, /-c/],
    ['kexec_load', { placing: true }, 'kexec_load', null, /--mem-min/],
  ] as const)('%s %o: %s, then %s', (choice, how, first, fallback, why) => {
    const chosen = choose(choice, how);
    expect(chosen).toMatchObject({ first, fallback });
    if (why === null) expect(chosen.noFallback).toBeNull();
    else expect(chosen.noFallback).toMatch(why);
  });
});

describe('refused', () => {
  test.each([
    [
      'kexec_file_load',
      { placing: true },
      /-s asks for kexec_file_load, but only kexec_load knows --mem-min/,
      1,
    ],
    [
      'kexec_file_load',
      { kernel: vmlinuxFile },
      /only kexec_load takes a vmlinux, which \/boot\/vmlinux is/,
      255,
    ],
    ['kexec_load', { file: true }, /--force-dtb asks for kexec_file_load, but -c/, 1],
    ['auto', { file: true, placing: true }, /--force-dtb .* --mem-min/, 1],
  ] as const)('contradictions: %s %o', (choice, how, message, exitCode) => {
    const error = errorOf(() => choose(choice, how));
    expect(error).toMatchObject({ code: 'syscall-conflict', exitCode });
    expect(error.message).toMatch(message);
  });
  test.each([
    ['kexec_load', {}, /-c asks/],
    ['auto', { placing: true }, /--mem-min/],
    ['auto', { kernel: vmlinuxFile }, /vmlinux/],
  ] as const)('what lockdown forbids: %s %o', (choice, how, message) => {
    const error = errorOf(() => choose(choice, { ...how, on: locked }));
    expect(error).toMatchObject({ code: 'locked-down', exitCode: 255, facts: { lockdown: 'integrity' } });
    expect(error.message).toMatch(message);
  });
});
