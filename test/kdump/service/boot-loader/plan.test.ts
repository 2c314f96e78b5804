import { chmodSync, existsSync, lstatSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyBootLoaderPlan } from '../../../../src/kdump/service/boot-loader/apply.ts';
import { describeEdit, replaceCrashkernel } from '../../../../src/kdump/service/boot-loader/edits.ts';
import {
  type BootLoaderPlan,
  planCrashkernel,
  readBootLoader,
} from '../../../../src/kdump/service/boot-loader/plan.ts';
import { errorOf } from '../../../kexec/fixtures.ts';
import { withRoot } from '../../config/fixtures.ts';

const value = '2G-64G:256M,64G-:512M';
const mine = { path: '/boot/vmlinuz-6.1' };
const planIn = (
  files: Record<string, string>,
  installed: readonly string[],
  kernel: Parameters<typeof planCrashkernel>[1] = mine,
): BootLoaderPlan =>
  withRoot(files, (root) =>
    planCrashkernel(
      value,
      kernel,
      readBootLoader(root, (name) => installed.includes(name)),
    ),
  );
const after = (plan: BootLoaderPlan) => Object.fromEntries(plan.edits.map((edit) => [edit.path, edit.after]));
const debian = ['update-grub', 'grub-mkconfig'];

describe('replaceCrashkernel', () => {
  test.each([
    ['a crashkernel=1M b', `a crashkernel=${value} b`],
    ['crashkernel=1G,high b crashkernel=72M,low', `crashkernel=${value} b`],
    ['X="crashkernel=auto"', `X="crashkernel=${value}"`],
    ["X='a crashkernel=auto'", `X='a crashkernel=${value}'`],
    ['a', null],
    ['mycrashkernel=1M', null],
  ])('%s', (text, changed) => expect(replaceCrashkernel(text, value)).toBe(changed));

  test('leaves one, wherever there were how many', () => {
    const word = fc.constantFrom('quiet', 'crashkernel=1M', 'crashkernel=2G,high', 'a=b', 'crashkernel');
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const changed = replaceCrashkernel(words.join(' '), value);
        const others = words.filter((text) => !text.startsWith('crashkernel='));
        if (others.length === words.length) expect(changed).toBeNull();
        else {
          const made = changed!.split(' ').filter(Boolean);
          expect(made.filter((text) => text === `crashkernel=${value}`)).toHaveLength(1);
          expect(made.filter((text) => text !== `crashkernel=${value}`)).toEqual(others);
        }
      }),
    );
  });
});

describe('GRUB as Debian has it', () => {
  const grub = 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n';

  test('gets a file of its own when nothing is set', () => {
    const plan = planIn({ 'etc/default/grub': grub, 'etc/default/grub.d/x.cfg': '' }, debian);
    expect(after(plan)).toEqual({
      '/etc/default/grub.d/kdump-tools.cfg': `GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=${value}"\n`,
    });
    expect(plan).toMatchObject({ by: 'GRUB', commands: [['update-grub']], affectsAll: true });
  });

  test('is changed where it is set, and nowhere else', () => {
    const files = {
      'etc/default/grub': `# crashkernel=1M\n${grub}OTHER="crashkernel=2M"\n`,
      'etc/default/grub.d/kdump-tools.cfg':
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=512M-:192M"\n',
      'etc/default/grub.d/50-cloud.cfg':
        'export GRUB_CMDLINE_LINUX+=" crashkernel=1G,high crashkernel=72M,low x"\n',
      'etc/default/grub.d/ignored': 'GRUB_CMDLINE_LINUX="crashkernel=1M"\n',
    };
    expect(after(planIn(files, debian))).toEqual({
      '/etc/default/grub.d/kdump-tools.cfg': `GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=${value}"\n`,
      '/etc/default/grub.d/50-cloud.cfg': `export GRUB_CMDLINE_LINUX+=" crashkernel=${value} x"\n`,
    });
  });

  test('that says so already is left alone', () => {
    const plan = planIn({ 'etc/default/grub': `GRUB_CMDLINE_LINUX="crashkernel=${value}"\n` }, debian);
    expect(plan.edits).toEqual([]);
    expect(plan.commands).toEqual([['update-grub']]);
  });
});

describe('GRUB without a directory', () => {
  const installed = ['grub2-mkconfig'];
  const config = { 'boot/grub2/grub.cfg': '' };
  test.each([
    ['GRUB_CMDLINE_LINUX="a b"\n', `GRUB_CMDLINE_LINUX="a b crashkernel=${value}"\n`],
    ['GRUB_CMDLINE_LINUX="" # mine\n', `GRUB_CMDLINE_LINUX="crashkernel=${value}" # mine\n`],
    [
      'GRUB_CMDLINE_LINUX=a\n',
      `GRUB_CMDLINE_LINUX=a\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX crashkernel=${value}"\n`,
    ],
    ['X=1', `X=1\nGRUB_CMDLINE_LINUX="crashkernel=${value}"\n`],
  ])('%j', (text, changed) => {
    const plan = planIn({ ...config, 'etc/default/grub': text }, installed);
    expect(after(plan)).toEqual({ '/etc/default/grub': changed });
    expect(plan.commands).toEqual([['grub2-mkconfig', '-o', '/boot/grub2/grub.cfg']]);
  });
  test('and without what makes use of it', () => {
    expect(errorOf(() => planIn({ 'etc/default/grub': '' }, [])).message).toMatch(/neither update-grub nor/);
  });
});

describe('boot entries', () => {
  const entry = (name: string, options: string) => `title x\nlinux /${name}\n${options}\n`;
  const files = {
    'boot/loader/entries/a.conf': entry('vmlinuz-6.1', 'options root=1 crashkernel=auto ro'),
    'boot/loader/entries/b.conf': entry('vmlinuz-6.9', 'options root=1'),
    'etc/kernel/cmdline': 'root=1 ro\n',
    'etc/default/grub': 'GRUB_CMDLINE_LINUX="x"\n',
  };

  test('of the kernel that is meant', () => {
    const plan = planIn(files, debian);
    expect(plan).toMatchObject({ by: 'boot entries', commands: [], affectsAll: false });
    expect(after(plan)).toEqual({
      '/boot/loader/entries/a.conf': entry('vmlinuz-6.1', `options root=1 crashkernel=${value} ro`),
    });
  });

  test('of all, and those to come', () => {
    expect(after(planIn(files, [], 'ALL'))).toEqual({
      '/boot/loader/entries/a.conf': entry('vmlinuz-6.1', `options root=1 crashkernel=${value} ro`),
      '/boot/loader/entries/b.conf': entry('vmlinuz-6.9', `options root=1 crashkernel=${value}`),
      '/etc/kernel/cmdline': `root=1 ro crashkernel=${value}\n`,
    });
  });

  test('of the release that is meant, where all kernels are called linux', () => {
    const named = (release: string) => `version ${release}\nlinux /0a1b/${release}/linux\noptions ro\n`;
    const files = {
      'boot/loader/entries/a.conf': named('6.1'),
      'boot/loader/entries/b.conf': named('6.9'),
    };
    const changed = { '/boot/loader/entries/a.conf': named('6.1').replace('ro', `ro crashkernel=${value}`) };
    for (const path of ['/boot/vmlinuz-6.1', '/boot/0a1b/6.1/linux', '/usr/lib/modules/6.1/vmlinuz'])
      expect(after(planIn(files, [], { path }))).toEqual(changed);
  });

  test('without options get some', () => {
    const bare = { 'boot/loader/entries/a.conf': 'linux /vmlinuz-6.1\n' };
    expect(after(planIn(bare, []))).toEqual({
      '/boot/loader/entries/a.conf': `linux /vmlinuz-6.1\noptions crashkernel=${value}\n`,
    });
  });

  test('that refer to a variable: the variable is changed, whose file keeps its size', () => {
    const text = '# GRUB Environment Block\nsaved_entry=0\nkernelopts=root=1 ro \n';
    const refers = {
      'boot/loader/entries/a.conf': entry('vmlinuz-6.1', 'options $kernelopts $tuned_params'),
      'boot/grub2/grubenv': text.padEnd(1024, '#'),
    };
    const plan = planIn(refers, []);
    expect(plan.affectsAll).toBe(true);
    expect(plan.edits).toHaveLength(1);
    expect(plan.edits[0]!.after).toHaveLength(1024);
    expect(plan.edits[0]!.after).toMatch(
      /^# GRUB Environment Block\nsaved_entry=0\nkernelopts=root=1 ro crashkernel=2G-\S+\n#+$/,
    );
    const full = { ...refers, 'boot/grub2/grubenv': `kernelopts=${'x'.repeat(1000)}\n` };
    expect(errorOf(() => planIn(full, [])).code).toBe('boot-loader');
    expect(errorOf(() => planIn({ ...refers, 'boot/grub2/grubenv': '' }, [])).message).toMatch(
      /no kernelopts/,
    );
  });
});

describe('programs of the distribution', () => {
  test('grubby is asked for the kernel that is meant', () => {
    const files = { 'boot/loader/entries/a.conf': 'linux /vmlinuz-6.1\n' };
    expect(planIn(files, ['grubby'])).toMatchObject({
      by: 'grubby',
      edits: [],
      commands: [['grubby', '--update-kernel=/boot/vmlinuz-6.1', `--args=crashkernel=${value}`]],
    });
    expect(planIn(files, ['grubby'], 'ALL').commands[0]).toContain('--update-kernel=ALL');
  });
  test.each([
    ['ro crashkernel=1M', '--replace'],
    ['ro', '--append'],
  ])('rpm-ostree where it runs the machine: %s', (running, change) => {
    const files = { 'run/ostree-booted': '', 'proc/cmdline': running };
    expect(planIn(files, ['rpm-ostree', 'grubby']).commands).toEqual([
      ['rpm-ostree', 'kargs', `${change}=crashkernel=${value}`],
    ]);
  });
  test('are not there, and nothing else is', () => {
    const error = errorOf(() => planIn({}, []));
    expect(error).toMatchObject({
      code: 'boot-loader',
      fix: expect.stringContaining(`crashkernel=${value}`),
    });
  });
});

describe('an edit', () => {
  test('is shown as a diff', () => {
    expect(describeEdit({ path: '/x', before: 'a\nb\nc\n', after: 'a\nB\nc\nd\n' })).toBe(
      '--- /x\n+++ /x\n@@ -2 +2 @@\n-b\n+B\n@@ -3,0 +4 @@\n+d\n',
    );
    expect(describeEdit({ path: '/x', before: null, after: 'a\n' })).toBe(
      '--- /dev/null\n+++ /x\n@@ -0,0 +1 @@\n+a\n',
    );
    expect(describeEdit({ path: '/x', before: 'a', after: 'a' })).toBe('');
  });

  test('is carried out: files keep their modes and links, then the programs run', () => {
    withRoot({ 'boot/efi/grubenv': 'old', 'boot/grub2/x': '', 'etc/default/grub': 'old' }, (root) => {
      symlinkSync('../efi/grubenv', join(root, 'boot/grub2/grubenv'));
      chmodSync(join(root, 'etc/default/grub'), 0o640);
      const ran: string[][] = [];
      const edits = [
        { path: '/boot/grub2/grubenv', before: 'old', after: 'new' },
        { path: '/etc/default/grub', before: 'old', after: 'new' },
        { path: '/etc/default/grub.d/kdump-tools.cfg', before: null, after: 'new' },
      ];
      applyBootLoaderPlan(
        { by: 'GRUB', edits, commands: [['grub2-mkconfig', '-o', '/x']], affectsAll: false },
        root,
        (program, args) =>
          void ran.push([program, ...args, readFileSync(join(root, 'etc/default/grub'), 'utf8')]),
      );
      expect(readFileSync(join(root, 'boot/efi/grubenv'), 'utf8')).toBe('new');
      expect(lstatSync(join(root, 'boot/grub2/grubenv')).isSymbolicLink()).toBe(true);
      expect(statSync(join(root, 'etc/default/grub')).mode & 0o777).toBe(0o640);
      expect(statSync(join(root, 'etc/default/grub.d/kdump-tools.cfg')).mode & 0o777).toBe(0o644);
      expect(ran).toEqual([['grub2-mkconfig', '-o', '/x', 'new']]);
      expect(existsSync(join(root, 'etc/default/grub-incomplete'))).toBe(false);
    });
  });
});
