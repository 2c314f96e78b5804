import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { writeCpio } from '../../../../src/formats/cpio.ts';
import {
  type CaptureConfig,
  captureConfig,
  checkCaptureConfig,
} from '../../../../src/kdump/capture/config.ts';
import { controllerFor, controllers } from '../../../../src/kdump/trial/rehearsal/controllers.ts';
import { guestInit } from '../../../../src/kdump/trial/rehearsal/guest.ts';
import { readImageContent } from '../../../../src/kdump/trial/rehearsal/image-content.ts';
import {
  planRehearsal,
  qemuArguments,
  type RehearsalFacts,
} from '../../../../src/kdump/trial/rehearsal/plan.ts';

const disk = { kind: 'filesystem', device: 'UUID=1234', fstype: 'xfs', mountOptions: 'noatime' } as const;
const vault = { kind: 'ssh', user: 'kdump', host: 'vault' } as const;
const settings = (part: Partial<CaptureConfig> = {}): CaptureConfig =>
  captureConfig({ targets: [disk], host: 'box', ...part });
const facts = (
  config: CaptureConfig,
  modules: readonly string[],
  part: Partial<RehearsalFacts> = {},
): RehearsalFacts => ({
  content: { config, modules },
  imageBytes: 40 << 20,
  crashBytes: 256 << 20,
  commandLine: 'nr_cpus=1 disable_cpu_apicid=3 kdump_test_id=7 panic=-1',
  builtin: () => false,
  ...part,
});

describe('planRehearsal', () => {
  it('has the disk stand for the target, under its name and behind its driver', () => {
    const plan = planRehearsal(facts(settings(), ['nvme', 'xfs']));
    expect(plan).toMatchObject({
      config: { targets: [disk], host: 'box' },
      controller: { name: 'NVMe' },
      addedModules: [],
      scratch: { fstype: 'xfs', make: ['mkfs.xfs', '-q', '-m', 'uuid=1234'] },
      captureCommandLine: 'nr_cpus=1 panic=-1 console=ttyS0',
      notProven: [],
    });
    expect(plan.guestCommandLine).toContain('crashkernel=256M');
    expect(plan.guestMemory).toBe(256 + 640 + 80);
  });

  it('makes settings that the capture takes', () => {
    const odd = settings({
      targets: [vault],
      coreCollector: ['makedumpfile', '-F', '-d', '31'],
      failureAction: 'dump_to_rootfs',
      rootfs: disk,
      finalAction: 'halt',
    });
    const { config } = planRehearsal(facts(odd, []));
    expect(() => checkCaptureConfig(config, 'x')).not.toThrow();
    expect(config).toMatchObject({
      coreCollector: ['makedumpfile', '-d', '31'],
      failureAction: 'reboot',
      finalAction: 'reboot',
    });
  });

  it('reaches and tells nobody, whatever the settings say', () => {
    const notify = { when: 'capture', how: 'post', to: 'http://x/' } as const;
    const config = settings({
      targets: [vault, disk],
      notifications: [notify],
      ssh: { key: '/k', knownHosts: '/h' },
      coreCollector: ['scp'],
    });
    const plan = planRehearsal(facts(config, ['nvme', 'xfs']));
    expect(plan.config).toMatchObject({
      targets: [disk],
      notifications: [],
      ssh: null,
      network: null,
      coreCollector: ['cp'],
    });
    expect(plan.notProven).toEqual(['kdump@vault was not reached']);
  });

  it('brings a disk along where the image drives none, and says what that does not prove', () => {
    expect(planRehearsal(facts(settings(), ['mpt3sas', 'xfs']))).toMatchObject({
      addedModules: ['virtio_pci', 'virtio_blk'],
      config: { targets: [{ device: 'LABEL=rehearsal', fstype: 'xfs' }] },
      scratch: { make: ['mkfs.xfs', '-q', '-L', 'rehearsal'] },
      notProven: [expect.stringMatching(/the driver of UUID=1234/)],
    });
    expect(planRehearsal(facts(settings({ targets: [vault] }), []))).toMatchObject({
      addedModules: ['virtio_pci', 'virtio_blk', 'ext4'],
      scratch: { make: ['mkfs.ext4', '-q', '-F', '-L', 'rehearsal'] },
    });
  });

  it('gives a device that is named by its path a name', () => {
    const config = settings({ targets: [{ ...disk, device: '/dev/nvme0n1p2' }] });
    expect(planRehearsal(facts(config, ['nvme'])).config.targets).toMatchObject([
      { device: 'LABEL=rehearsal' },
    ]);
  });

  it('refuses what it cannot make', () => {
    expect(() => planRehearsal(facts(settings(), ['nvme'], { crashBytes: 0 }))).toThrow(
      /no memory is reserved/,
    );
    const minix = settings({ targets: [{ ...disk, fstype: 'minix' }] });
    expect(() => planRehearsal(facts(minix, ['nvme']))).toThrow(/no minix can be made/);
  });

  it('has the guest see no network, and no word of the settings becomes an option', () => {
    const run = {
      accelerator: 'tcg',
      kernel: '/k',
      initrd: '/i',
      scratch: '/s',
      console: '/c',
      append: 'kdump.look=1',
    } as const;
    const args = qemuArguments(planRehearsal(facts(settings(), ['nvme'])), run);
    expect(args.join(' ')).toMatch(
      /^-accel tcg -cpu max .* -no-reboot -nic none -kernel \/k -initrd \/i -append console=ttyS0 .* kdump\.look=1 -serial file:\/c /,
    );
    expect(args.slice(-2)).toEqual(['-device', 'nvme,drive=scratch,serial=rehearsal']);
  });
});

describe('controllerFor', () => {
  it('takes what the image brings before what the kernel has', () => {
    const inKernel = (module: string) => module.startsWith('virtio');
    expect(controllerFor(['ahci', 'sd_mod'], inKernel)?.name).toBe('AHCI');
    expect(controllerFor([], inKernel)?.name).toBe('virtio block device');
    expect(controllerFor(['ahci'], () => false)).toBeUndefined();
  });

  it('has a drive in every row', () => {
    for (const { devices } of controllers)
      expect(devices.filter((one) => one.includes('drive=scratch'))).toHaveLength(1);
  });
});

describe('readImageContent', () => {
  const entries = (config: string) =>
    [
      { type: 'directory', path: 'etc', mode: 0o755 },
      { type: 'directory', path: 'etc/kdump', mode: 0o755 },
      { type: 'file', path: 'etc/kdump/capture.json', mode: 0o600, data: Buffer.from(config) },
      { type: 'directory', path: 'modules', mode: 0o755 },
      { type: 'file', path: 'modules/000-loop.ko', mode: 0o644, data: Buffer.alloc(3) },
      { type: 'file', path: 'modules/001-xfs.ko', mode: 0o644, data: Buffer.alloc(3) },
    ] as const;
  const archive = (config = JSON.stringify(settings())) => Buffer.concat(writeCpio(entries(config)));

  it('reads settings and modules, packed or not, with archives behind', () => {
    const content = { config: settings(), modules: ['loop', 'xfs'] };
    expect(readImageContent(archive(), 'x')).toEqual(content);
    expect(
      readImageContent(Buffer.concat([gzipSync(archive()), Buffer.alloc(3), archive('{}')]), 'x'),
    ).toEqual(content);
  });

  it("refuses other builders' images", () => {
    for (const image of [
      Buffer.alloc(0),
      Buffer.from('nonsense'),
      gzipSync('nonsense'),
      Buffer.concat(writeCpio([])),
    ])
      expect(() => readImageContent(image, 'x.img')).toThrow(/x\.img is no capture image of our own builder/);
    expect(() => readImageContent(archive('{'), 'x.img')).toThrow(/capture\.json in x\.img/);
  });
});

describe('guestInit', () => {
  it('is a script whose words are taken as they are', () => {
    const odd = `a'b $(touch /tmp/x) "c`;
    const init = guestInit(`LABEL=${odd}`, 'ext4', `/${odd}`, odd, ['-s']);
    const checked = spawnSync('sh', ['-n'], { input: init, encoding: 'utf8' });
    expect(checked).toMatchObject({ status: 0, stderr: '' });
    // What the shell makes of the line that loads.
    const line = init
      .split('\n')
      .find((text) => text.includes('kexec.mjs'))!
      .replace(/ \|\| .*/, '');
    const words = spawnSync('sh', ['-c', line.replace(/^LD_LIBRARY_PATH=\S+ \S+/, 'printf "%s\\n"')], {
      encoding: 'utf8',
    });
    expect(words.stdout.split('\n')).toEqual(
      expect.arrayContaining(['-p', '-s', '--initrd=/load/image', `--append=${odd}`, '/load/vmlinuz']),
    );
  });
});
