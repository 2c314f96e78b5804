// The road with a capture image of dracut's: our module, dracut's drivers, its mount of the root file system.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DumpReport } from '../../src/kdump/capture/report.ts';
import { dracutImage } from './lab/dracut.ts';
import { type CrashResult, crash, labKernel } from './lab/lab.ts';

/** dracut takes a file system for a root only when it has these. */
const beforeCrash = 'mkdir -p /disk/proc /disk/sys /disk/dev';

describe.each([
  ['its own script', false],
  ['systemd', true],
])('an initramfs of dracut, run by %s', (_, systemd) => {
  let directory: string;
  let image: string;
  let result: CrashResult;
  /** The target does not appear: the initramfs gives up before the capture. */
  let failed: CrashResult;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kdump-dracut-'));
    image = await dracutImage(await labKernel('6.1'), directory, systemd, [
      ...['--host', 'guest', '--core-collector', 'makedumpfile -l --message-level 31 -d 31'],
    ]);
    // systemd takes more of the memory: at 192M there is, now and then, too little left for a report.
    const options = {
      kernel: '6.1',
      captureImage: image,
      beforeCrash,
      crashkernel: systemd ? '256M' : '192M',
    } as const;
    result = await crash({ ...options, captureAppend: 'root=/dev/vda' });
    failed = await crash({ ...options, captureAppend: 'root=/dev/vdz rd.retry=5 rd.timeout=15' });
  });
  afterAll(() => {
    result?.remove();
    failed?.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  test('leaves a complete dump on the root file system', () => {
    if (result.dumpDirectory === undefined) throw result.console.error('there is no dump directory');
    const report = JSON.parse(readFileSync(join(result.dumpDirectory, 'dump.json'), 'utf8')) as DumpReport;
    expect(report.errors).toEqual([]);
    expect(report).toMatchObject({
      state: 'complete',
      panic: 'Kernel panic - not syncing: sysrq triggered crash',
      kernelRelease: result.kernel.release,
    });
    expect(report.steps.map(({ name }) => name)).toEqual([
      'identify',
      'reach',
      'directory',
      'marker',
      'dmesg',
      'report',
      'collect',
      'checksum',
    ]);
    expect(readdirSync(result.dumpDirectory).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'report.html',
      'report.json',
      'vmcore',
      'vmcore-dmesg.txt',
    ]);
    expect(statSync(join(result.dumpDirectory, 'vmcore')).size).toBe(report.files.vmcore);
  });

  test('runs the capture as what runs the initramfs does', () => {
    const content = spawnSync('lsinitrd', [image], { encoding: 'utf8', timeout: 120_000 }).stdout;
    expect(/initrd\.target\.wants\/kdump-capture\.service/.test(content)).toBe(systemd);
    expect(/pre-pivot\/.*kdump-capture/.test(content)).toBe(!systemd);
  });

  test('reboots the machine after the dump', () => {
    expect(result.console.find(/\bkdump: .* reboot$/)).toBeDefined();
    expect(result.console.find(/\blab: rebooted after the crash/)).toBeDefined();
  });

  test('says so when the root file system does not appear, and reboots all the same', () => {
    const told = failed.console.find(/kdump: .* no capture: the initramfs could not mount/);
    expect(told).toBeDefined();
    expect(failed.console.find(/kdump: .* capture begins/)).toBeUndefined();
    expect(failed.dumpDirectory).toBeUndefined();
    expect(failed.console.find(/\blab: rebooted after the crash/, told!.index)).toBeDefined();
  });
});
