import { describe, expect, test } from 'vitest';
import { readBootLoader } from '../../../../src/kdump/service/boot-loader/plan.ts';
import { planRenewal } from '../../../../src/kdump/service/boot-loader/renew.ts';
import { withRoot } from '../../config/fixtures.ts';

const [before, after] = ['1G-4G:192M,4G-:256M', '2G-64G:256M,64G-:512M'];
const renewalIn = (files: Record<string, string>, installed: readonly string[] = ['update-grub']) =>
  withRoot(files, (root) =>
    planRenewal(
      before,
      after,
      readBootLoader(root, (name) => installed.includes(name)),
    ),
  );
const changed = (plan: ReturnType<typeof renewalIn>) =>
  Object.fromEntries(plan?.edits.map((edit) => [edit.path, edit.after]) ?? []);
const entry = (name: string, options: string) => `title x\nlinux /${name}\noptions ${options}\n`;

describe('an older default', () => {
  test('becomes the new one in the settings of GRUB', () => {
    const plan = renewalIn({
      'etc/default/grub': `# crashkernel=${before}\nGRUB_CMDLINE_LINUX="quiet crashkernel=${before}"\n`,
      'etc/default/grub.d/kdump-tools.cfg': 'GRUB_CMDLINE_LINUX_DEFAULT="crashkernel=1G"\n',
    });
    expect(changed(plan)).toEqual({
      '/etc/default/grub': `# crashkernel=${before}\nGRUB_CMDLINE_LINUX="quiet crashkernel=${after}"\n`,
    });
    expect(plan).toMatchObject({ by: 'GRUB', commands: [['update-grub']] });
  });

  test('becomes the new one in the boot entries that have it, and in the template', () => {
    const files = {
      'boot/loader/entries/a.conf': entry('vmlinuz-1', `ro crashkernel=${before}`),
      'boot/loader/entries/b.conf': entry('vmlinuz-2', 'ro crashkernel=512M'),
      'boot/loader/entries/c.conf': entry('vmlinuz-3', 'ro'),
      'etc/kernel/cmdline': `ro crashkernel=${before}\n`,
    };
    expect(changed(renewalIn(files))).toEqual({
      '/boot/loader/entries/a.conf': entry('vmlinuz-1', `ro crashkernel=${after}`),
      '/etc/kernel/cmdline': `ro crashkernel=${after}\n`,
    });
    expect(renewalIn(files, ['grubby'])).toMatchObject({
      by: 'grubby',
      edits: [{ path: '/etc/kernel/cmdline' }],
      commands: [['grubby', '--update-kernel=/boot/vmlinuz-1', `--args=crashkernel=${after}`]],
    });
  });

  test('becomes the new one in the variable that entries refer to, whose file keeps its size', () => {
    const text = (value: string) =>
      `# GRUB Environment Block\nkernelopts=ro crashkernel=${value}\n`.padEnd(1024, '#');
    const refers = { 'boot/loader/entries/a.conf': entry('vmlinuz-1', '$kernelopts') };
    const grubenv = { 'boot/grub2/grubenv': text(before) };
    expect(changed(renewalIn({ ...refers, ...grubenv }))).toEqual({ '/boot/grub2/grubenv': text(after) });
    const other = { 'boot/loader/entries/a.conf': entry('vmlinuz-1', 'ro') };
    expect(renewalIn({ ...other, ...grubenv })).toBeNull();
  });

  test('becomes the new one by rpm-ostree, where the machine runs with it', () => {
    const ostree = { 'run/ostree-booted': '', 'proc/cmdline': `ro crashkernel=${before}\n` };
    expect(renewalIn(ostree, ['rpm-ostree'])?.commands).toEqual([
      ['rpm-ostree', 'kargs', `--replace=crashkernel=${after}`],
    ]);
    expect(renewalIn({ ...ostree, 'proc/cmdline': 'crashkernel=1G' }, ['rpm-ostree'])).toBeNull();
  });
});

test.each([
  'quiet',
  'crashkernel=512M',
  // Somebody has taken pains.
  `crashkernel=${before} crashkernel=72M,low`,
  `crashkernel=${before},high`,
])('what somebody has chosen stays: %s', (words) => {
  expect(renewalIn({ 'etc/default/grub': `GRUB_CMDLINE_LINUX="${words}"\n` })).toBeNull();
  expect(renewalIn({ 'boot/loader/entries/a.conf': entry('vmlinuz-1', words) })).toBeNull();
});

test('nothing that looks after kernel parameters is no error', () => {
  expect(renewalIn({ x: '' }, [])).toBeNull();
});
