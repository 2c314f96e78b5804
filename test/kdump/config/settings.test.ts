import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { effectiveSettings, readSettings } from '../../../src/kdump/config/settings.ts';
import { fixture, withRoot } from './fixtures.ts';

const read = (files: Record<string, string>) => withRoot(files, readSettings);
const told = ({ findings }: ReturnType<typeof readSettings>) =>
  findings.map(({ file, line, message }) => `${file}:${line} ${message}`);

describe('readSettings', () => {
  it('has a default for everything', () => {
    const { settings, findings } = read({});
    expect(findings).toEqual([]);
    expect(settings).toMatchObject({
      enabled: true,
      targets: [{ kind: 'directory', path: '/var/crash' }],
      path: '/var/crash',
      sshKey: '/root/.ssh/kdump_id_rsa',
      collector: ['makedumpfile', '-l', '--message-level', '7', '-d', '31'],
      failureAction: 'reboot',
      finalAction: 'reboot',
      builder: 'own',
      rebuild: 'when-changed',
      kernel: { path: null, release: null, imageName: 'vmlinuz', imageExtension: '' },
      commandLine: {
        whole: null,
        base: null,
        append: expect.stringMatching(/^irqpoll nr_cpus=1 .*size=90%$/),
      },
      kexecArgs: [],
      retention: { count: null, bytes: null, freePercent: null, ageSeconds: null },
      report: true,
      limits: { minFree: null, captureSeconds: null, stallSeconds: null },
      notifications: [],
      logLevels: { std: 3, syslog: 0, kmsg: 0 },
    });
    expect(settings.commandLine.remove).toEqual(expect.arrayContaining(['hugepages', 'crashkernel', 'root']));
  });

  it('takes an unchanged RHEL as it is', () => {
    const { settings, findings } = read({
      'etc/kdump.conf': fixture('rhel-default.conf'),
      'etc/sysconfig/kdump': fixture('rhel.sysconfig'),
    });
    expect(findings).toEqual([]);
    expect(settings.targets).toEqual([{ kind: 'directory', path: '/var/crash' }]);
    expect(settings.commandLine).toMatchObject({
      whole: null,
      base: null,
      remove: expect.arrayContaining(['hugepages', 'hugepagesz', 'slub_debug', 'quiet', 'panic_on_warn']),
      append: 'irqpoll nr_cpus=1 reset_devices',
    });
    expect(settings.commandLine.remove).not.toContain('swiotlb');
    expect(settings.kexecArgs).toEqual(['-s']);
    expect(settings.logLevels.std).toBe(4);
  });

  it('adds nothing when an empty value says so', () =>
    expect(read({ 'etc/sysconfig/kdump': 'KDUMP_COMMANDLINE_APPEND=""' }).settings.commandLine.append).toBe(
      '',
    ));

  it('takes what kdump-tools of Debian was told', () => {
    const result = read({
      'etc/default/kdump-tools': fixture('debian.default'),
      'root/.ssh/id_ed25519': 'key',
    });
    expect(result.settings).toMatchObject({
      enabled: true,
      targets: [
        { kind: 'ssh', user: 'kdump', host: '192.0.2.3' },
        { kind: 'nfs', server: '192.0.2.4', export: '/export' },
      ],
      path: '/srv/crash',
      sshKey: '/root/.ssh/id_ed25519',
      collector: ['makedumpfile', '-c', '-d', '31'],
      failureAction: 'reboot',
      hostTag: 'hostname',
      retention: { count: 3 },
      kernel: { path: null },
      commandLine: { append: 'reset_devices nr_cpus=1' },
    });
    expect(result.config.origins.path).toMatchObject({ line: 4, variable: 'KDUMP_COREDIR' });
    expect(told(result)).toEqual([
      '/etc/default/kdump-tools:14 FTP_PASSWORD has no effect: FTP is not supported.',
      '/etc/default/kdump-tools:12 NFS is tried only when SSH cannot be written; kdump-tools writes to both.',
      expect.stringContaining('kdump-tools:8 systemd.unit=kdump-tools-dump.service is left out'),
    ]);
    expect(JSON.stringify(result)).not.toContain('secret');
  });

  it('our own variables keep their meaning', () => {
    const { settings, findings } = read({
      'etc/default/kdump-tools': [
        'KDUMP_KERNEL="/boot/vmlinuz-6.1.0-9-amd64"',
        'KDUMP_IMAGE="/var/lib/kdump/capture.img"',
        'KDUMP_IMAGE_OPTIONS="--target UUID=0a1b --mount-options noatime --path /dumps --add-drivers virtio_blk --host vm"',
        'KDUMP_COMMANDLINE="console=ttyS0 nr_cpus=1"',
      ].join('\n'),
    });
    expect(findings).toEqual([]);
    expect(settings).toMatchObject({
      targets: [{ kind: 'filesystem', fstype: null, device: 'UUID=0a1b', mountOptions: 'noatime' }],
      path: '/dumps',
      kernel: { path: '/boot/vmlinuz-6.1.0-9-amd64' },
      image: { path: '/var/lib/kdump/capture.img', host: 'vm', drivers: ['virtio_blk'] },
      commandLine: { whole: 'console=ttyS0 nr_cpus=1' },
    });
  });

  it('kdump.conf, where it is, decides what it can say', () => {
    const result = read({
      'etc/kdump.conf': 'path /var/dumps\n',
      'etc/default/kdump-tools': 'KDUMP_COREDIR=/srv\nKDUMP_COMMANDLINE="x"\nUSE_KDUMP=0\n',
    });
    expect(result.settings).toMatchObject({
      enabled: false,
      path: '/var/dumps',
      commandLine: { whole: 'x' },
    });
    expect(told(result)).toEqual([
      '/etc/default/kdump-tools:1 KDUMP_COREDIR has no effect, because /etc/kdump.conf is there.',
    ]);
  });

  it.each([
    ['KDUMP_FAIL_CMD="sync; reboot -f"', 'KDUMP_FAIL_CMD="sync; reboot -f" is not "reboot -f"'],
    ['SSH=nobody', "Invalid kdump config value for option 'ssh'"],
    ['KDUMP_NUM_DUMPS=many', "Invalid kdump config value for option 'retain_count'"],
    ['KDUMP_IMAGE_OPTIONS="--nonsense"', "KDUMP_IMAGE_OPTIONS: unrecognized option '--nonsense'"],
    ['KDUMP_IMAGE_OPTIONS="--target sda"', 'KDUMP_IMAGE_OPTIONS: "sda" is neither a device'],
    ['KDUMP_IMAGE_OPTIONS="--target /dev/a --fstype a/b"', 'KDUMP_IMAGE_OPTIONS: "a/b" is no file system'],
  ])('%s is an error with its line', (text, message) =>
    expect(told(read({ 'etc/default/kdump-tools': `\n${text}\n` }))).toEqual([
      expect.stringContaining(`/etc/default/kdump-tools:2 ${message}`),
    ]),
  );

  it('options that kexec does not have are errors with their line, and do not count', () => {
    const result = read({ 'etc/sysconfig/kdump': 'KDUMP_IMG=vmlinuz\nKEXEC_ARGS="-s --args-linux"\n' });
    expect(result.settings.kexecArgs).toEqual([]);
    expect(told(result)).toEqual(["/etc/sysconfig/kdump:2 KEXEC_ARGS: unrecognized option '--args-linux'"]);
    // The other file has the say, and says something right.
    const debian = { 'etc/default/kdump-tools': 'KDUMP_KEXEC_ARGS="-c"\n' };
    expect(read({ ...debian, 'etc/sysconfig/kdump': 'KEXEC_ARGS=x' })).toMatchObject({
      findings: [],
      settings: { kexecArgs: ['-c'] },
    });
  });

  it('a key that is not there gives way to the default', () => {
    const result = read({ 'etc/kdump.conf': 'ssh a@b\nsshkey /root/missing\n' });
    expect(result.settings.sshKey).toBe('/root/.ssh/kdump_id_rsa');
    expect(told(result)).toEqual([
      "/etc/kdump.conf:2 '/root/missing' doesn't exist, using default value '/root/.ssh/kdump_id_rsa'.",
    ]);
  });

  it('a directory in place of the file is an error, not an exception', () =>
    expect(told(read({ 'etc/kdump.conf/x': '' }))).toEqual([
      expect.stringMatching(/^\/etc\/kdump\.conf:0 cannot be read: \/etc\/kdump\.conf is not a file$/),
    ]));

  it('so is one of ten megabytes', () =>
    expect(told(read({ 'etc/kdump.conf': 'x y\n'.repeat(2_500_000) }))).toEqual([
      '/etc/kdump.conf:0 cannot be read: /etc/kdump.conf has 10000000 bytes, too many for a configuration',
    ]));

  it.skipIf(process.getuid?.() === 0)('a file that may not be read is an error', () =>
    withRoot({ 'etc/kdump.conf': '' }, (root) => {
      chmodSync(join(root, 'etc/kdump.conf'), 0);
      expect(told(readSettings(root))).toEqual([expect.stringMatching(/cannot be read: EACCES/)]);
    }),
  );
});

describe('effectiveSettings', () => {
  it('gives the settings, or every error', () => {
    withRoot({ 'etc/kdump.conf': 'path /x\n' }, (root) => expect(effectiveSettings(root).path).toBe('/x'));
    withRoot({ 'etc/kdump.conf': 'foo 1\nbar 2\n' }, (root) =>
      expect(() => effectiveSettings(root)).toThrow(
        expect.objectContaining({
          code: 'config-invalid',
          message: expect.stringMatching(/foo[\s\S]*bar/),
          exitCode: 1,
        }),
      ),
    );
  });
});
