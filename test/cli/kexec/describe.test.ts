import { expect, test } from 'vitest';
import { describePlan } from '../../../src/cli/kexec/describe.ts';
import { type Plan, planJumpBack, planUnload } from '../../../src/kexec/plan.ts';
import { kernelFile, machineOf, planWith, vmlinuxFile } from '../../kexec/fixtures.ts';

const linesOf = (plan: Plan): string[] => {
  const lines: string[] = [];
  describePlan(plan, (line) => lines.push(line));
  return lines;
};

test('a load: files, command line, memory, calls and where everything goes', () => {
  const uki = { commandLine: 'inside', initrd: null, dtb: null, signed: true };
  const kernel = { ...kernelFile(), wrapping: ['zstd', 'uki'] as const, uki };
  expect(linesOf(planWith({ append: null }, { kernel }))).toEqual([
    'kernel /boot/vmlinuz-6.1.0-56-cloud-amd64: bzImage in zstd, uki, 6.1.0-56-cloud-amd64 (builder@example.org) #1 SMP, protocol 2.15',
    'initrd /boot/capture.img',
    'command line (6 of 2016 bytes, from image): inside',
    'memory: 57921536 bytes at least (kernel 53968896, initrd 3002368), 201326592 reserved, 143405056 left to work with',
    'first kexec_file_load',
    'then, after ENOSYS, EINVAL, ENOEXEC, EOPNOTSUPP: kexec_load',
    'segment kernel: 3 bytes at 0x1e000000, 0x1000 in memory',
    'segment purgatory: 16 bytes at 0x1f000000, 0x3000 in memory',
    `entry 0x1f000000, digest ${'00'.repeat(32)}`,
  ]);
});
test('a load by kexec_load', () => {
  const lines = linesOf(planWith({ type: 'normal' }, { kernel: vmlinuxFile, initrd: null }));
  expect(lines).toContain('kernel /boot/vmlinux: vmlinux');
  expect(lines).toContain('initrd none');
  expect(lines).toContain('first kexec_load');
  expect(lines.at(-1)).toMatch(/^no fallback: only kexec_load takes a vmlinux/);
});
test('the others', () => {
  const machine = machineOf('vm-512m');
  expect(linesOf(planUnload('crash', machine))).toEqual(['unloading the crash image']);
  expect(linesOf(planJumpBack(4096, machine))).toEqual(['loading a way back to 0x1000']);
});
