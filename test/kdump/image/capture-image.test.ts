import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureConfig } from '../../../src/kdump/capture/config.ts';
import {
  buildImage,
  type CaptureImageRequest,
  identifyTarget,
  planCaptureImage,
} from '../../../src/kdump/image/capture-image.ts';
import { targetOfDirectory } from '../../../src/kdump/image/target.ts';
import { release, temporary, write, writeModules } from './fixture.ts';

const { root, remove } = temporary();
let request: CaptureImageRequest;
beforeAll(() => {
  writeModules(root);
  write(join(root, 'capture.mjs'), '');
  request = {
    kernelRelease: release,
    modulesRoot: root,
    target: '/dev/kdump-not-on-this-machine',
    fstype: 'ext4',
    drivers: ['virtio_blk'],
    host: 'vm',
    captureBundle: join(root, 'capture.mjs'),
    node: process.execPath,
  };
});
afterAll(remove);

describe('identifyTarget', () => {
  const device = (fill: (start: Buffer) => void): string => {
    const start = Buffer.alloc(0x12000);
    fill(start);
    write(join(root, 'device'), start);
    return join(root, 'device');
  };
  const xfs = (start: Buffer) => void start.write('XFSB');
  const ext2 = (start: Buffer) => void start.write('\x53\xef', 0x438, 'latin1');

  it('finds out what nobody has said', () => {
    expect(identifyTarget(device(xfs), null).fstype).toBe('xfs');
    expect(() =>
      identifyTarget(
        device(() => {}),
        null,
      ),
    ).toThrow(/is not known/);
  });

  it.each([
    [ext2, 'ext2'],
    [ext2, 'ext4'],
    [xfs, 'xfs'],
    [xfs, 'auto'],
    [() => {}, 'minix'],
  ])('takes what can be mounted as it is named: %#', (fill, fstype) =>
    expect(identifyTarget(device(fill), fstype).fstype).toBe(fstype),
  );

  it('finds now that a mount would fail after the crash', () => {
    expect(() => identifyTarget(device(xfs), 'ext4')).toThrow(/holds xfs, and is to be mounted as ext4/);
    expect(() => identifyTarget(device(ext2), 'xfs')).toThrow(/holds ext2/);
  });
});

describe('planCaptureImage', () => {
  it('settles what was not asked for, and needs nothing of a target that is elsewhere', () => {
    const { config, plan } = planCaptureImage(request);
    expect(config).toEqual(
      captureConfig({
        targets: [
          {
            kind: 'filesystem',
            device: '/dev/kdump-not-on-this-machine',
            fstype: 'ext4',
            mountOptions: '',
          },
        ],
        host: 'vm',
      }),
    );
    expect(plan.modules).toEqual(['virtio_blk', 'ext4']);
    expect(plan.nodeTree?.bundles).toEqual([request.captureBundle]);
    expect(plan.files).toMatchObject([{ path: '/etc/kdump/capture.json', mode: 0o600 }]);
    expect(JSON.parse(Buffer.from((plan.files![0] as { data: Uint8Array }).data).toString())).toEqual(config);
  });

  it('takes along the program that makes the report, unless there is to be none', () => {
    const bundles = ['capture.mjs', 'dump-worker.mjs', 'crash-report.mjs'].map((name) =>
      join(root, 'dist', name),
    );
    for (const path of bundles) write(path, '');
    const built = { ...request, captureBundle: bundles[0]! };
    expect(planCaptureImage(built).plan.nodeTree!.bundles).toEqual(bundles);
    const without = planCaptureImage({ ...built, report: false });
    expect(without.config.report).toBe(false);
    expect(without.plan.nodeTree!.bundles).toEqual(bundles.slice(0, 2));
  });

  it.each([
    ['a file system that nobody knows', { fstype: undefined }, 'target-unknown'],
    ['drivers of a device that is elsewhere', { drivers: undefined }, 'drivers-unknown'],
    ['a collector with an unknown option', { coreCollector: 'makedumpfile --no-such-option' }, 'usage'],
    ['a collector that writes no dump', { coreCollector: 'makedumpfile --dump-dmesg' }, 'capture-config'],
    ['another collector', { coreCollector: 'scp' }, 'capture-config'],
    ['a relative path', { path: 'crash' }, 'capture-config'],
    ['a bundle that was not built', { captureBundle: '/nonexistent/capture.mjs' }, 'not-built'],
    ['a kernel without modules', { kernelRelease: '9.9' }, 'no-modules'],
    ['a directory that does not exist', { target: undefined, path: '/nonexistent/crash' }, 'target-unknown'],
  ])('refuses %s', (_, change, code) => {
    expect(() => planCaptureImage({ ...request, ...change })).toThrow(expect.objectContaining({ code }));
  });
});

it('targetOfDirectory refuses a directory that is on no device', () => {
  expect(() => targetOfDirectory('/proc')).toThrow(
    expect.objectContaining({ code: 'target-unknown', message: expect.stringContaining('proc') }),
  );
});

describe('buildImage', () => {
  const plan = () => ({ init: '', kernelRelease: release, modulesRoot: root, modules: [] });

  it('writes for the owner only, and replaces only when told to', () => {
    const path = join(root, 'image');
    writeFileSync(path, 'old');
    expect(() => buildImage(path, plan(), false)).toThrow(expect.objectContaining({ code: 'image-exists' }));
    expect(readFileSync(path, 'utf8')).toBe('old');
    const image = buildImage(path, plan(), true);
    expect(statSync(path).size).toBe(image.bytes);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});
