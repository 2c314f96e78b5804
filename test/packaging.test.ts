// The Debian package: what is in it, and that its programs run from where it puts them.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { koffiAddon } from '../src/system/shared-objects.ts';
import { bundleCommands } from './helpers/bundle.ts';

const project = fileURLToPath(new URL('..', import.meta.url));
let directory: string;
let root: string;
let deb: string;

const run = (program: string, args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
};
function build(out: string): string {
  const made = run(process.execPath, [
    join(project, 'scripts/deb.mjs'),
    '--dist',
    join(directory, 'dist'),
    '--out',
    out,
  ]);
  expect(made).toMatchObject({ status: 0 });
  return join(out, readdirSync(out).find((name) => name.endsWith('.deb'))!);
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-package-'));
  const dist = join(directory, 'dist');
  mkdirSync(dist);
  await bundleCommands(['capture', 'crash-report', 'kdumpctl', 'kexec', 'makedumpfile', 'mkdumprd'], dist);
  await bundleCommands(['../dump/crew/worker'], directory);
  copyFileSync(join(directory, 'worker.mjs'), join(dist, 'dump-worker.mjs'));
  copyFileSync(koffiAddon(), join(dist, 'koffi.node'));
  deb = build(join(directory, 'first'));
  root = join(directory, 'root');
  expect(run('dpkg-deb', ['-x', deb, root])).toMatchObject({ status: 0 });
  expect(run('dpkg-deb', ['-e', deb, join(directory, 'control')])).toMatchObject({ status: 0 });
});
afterAll(() => rmSync(directory, { recursive: true }));

it('equal sources give equal bytes', () => {
  expect(readFileSync(build(join(directory, 'second'))).equals(readFileSync(deb))).toBe(true);
});

it('has everything in its place, owned by root and writable by nobody else', () => {
  const { stdout } = run('dpkg-deb', ['-c', deb]);
  const lines = stdout.trimEnd().split('\n');
  for (const line of lines) expect(line).toMatch(/^(l.{9}|.{5}-.{2}-.) root\/root /);
  const paths = lines.map((line) => line.split(' ./')[1]!.split(' -> ')[0]!);
  expect(paths).toEqual(
    expect.arrayContaining([
      ...['usr/sbin/kdumpctl', 'usr/sbin/kexec', 'usr/sbin/mkdumprd', 'usr/bin/makedumpfile'],
      ...['capture.mjs', 'crash-report.mjs', 'dump-worker.mjs', 'koffi.node', 'kdumpctl.mjs'].map(
        (name) => `usr/lib/kdump-tools/${name}`,
      ),
      'usr/lib/systemd/system/kdump.service',
      'usr/lib/systemd/system-generators/kdump-generator',
      'usr/lib/udev/rules.d/98-kdump.rules',
      'usr/lib/kdump-tools/kdump-receive',
      'usr/lib/dracut/modules.d/99kdump-tools/module-setup.sh',
      'usr/share/man/man5/kdump.conf.5.gz',
      'usr/share/bash-completion/completions/kdumpctl',
      'usr/share/doc/kdump-tools-ts/copyright',
      'etc/default/grub.d/kdump-tools.cfg',
    ]),
  );
  // Its presence would make the settings of /etc/default/kdump-tools count for nothing.
  expect(paths).not.toContain('etc/kdump.conf');
  expect(paths.filter((path) => /^usr\/lib\/kdump-tools\/.*\.(ts|map)$/.test(path))).toEqual([]);
  expect(lstatSync(join(root, 'var/lib/kdump')).mode & 0o777).toBe(0o700);
});

it.each(['sbin/kdumpctl', 'sbin/kexec', 'sbin/mkdumprd', 'bin/makedumpfile'])('usr/%s runs', (command) => {
  const path = join(root, 'usr', command);
  expect(existsSync(path)).toBe(true);
  expect(readFileSync(path, 'utf8').split('\n', 1)).toEqual(['#!/usr/bin/node']);
  const version = run(process.execPath, [path, '-v']);
  expect(version).toMatchObject({ status: 0, stderr: '' });
  expect(version.stdout).toMatch(/kdump-tools|makedumpfile/);
});

it('finds its native part where the package puts it', () => {
  const shown = run(process.execPath, [join(root, 'usr/sbin/kexec'), '-p', '-S']);
  expect(shown.stderr).not.toMatch(/koffi/);
});

it('has control files that dpkg and sh take', () => {
  const control = (name: string): string => join(directory, 'control', name);
  expect(readFileSync(control('conffiles'), 'utf8')).toBe('/etc/default/grub.d/kdump-tools.cfg\n');
  const text = readFileSync(control('control'), 'utf8');
  expect(text).not.toMatch(/@[a-z-]+@/);
  expect(text.split('\n').every((line) => line.length <= 200)).toBe(true);
  for (const script of ['postinst', 'prerm', 'postrm']) {
    expect(run('sh', ['-n', control(script)])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(lstatSync(control(script)).mode & 0o111).not.toBe(0);
  }
  const sums = run('sh', ['-c', 'cd "$1" && md5sum --quiet -c "$2"', 'sh', root, control('md5sums')]);
  expect(sums).toMatchObject({ status: 0, stdout: '' });
});

it('makes a settings file for GRUB that sets crashkernel= once', () => {
  const cfg = join(root, 'etc/default/grub.d/kdump-tools.cfg');
  const { stdout } = run('sh', [
    '-c',
    'GRUB_CMDLINE_LINUX_DEFAULT=quiet; . "$1"; echo "$GRUB_CMDLINE_LINUX_DEFAULT"',
    'sh',
    cfg,
  ]);
  expect(stdout).toMatch(/^quiet crashkernel=(\d\S*M)\n$/);
});
