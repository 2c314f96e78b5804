import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { directiveNames } from '../../../src/kdump/config/directives.ts';
import { type Finding, isError } from '../../../src/kdump/config/finding.ts';
import { parseConfig, printConfig } from '../../../src/kdump/config/parse.ts';
import { targetDirectives } from '../../../src/kdump/config/target.ts';
import { fixture } from './fixtures.ts';

const parse = (name: string) => parseConfig(fixture(name), name);
const short = ({ line, column, message }: Finding) => `${line}:${column} ${message}`;
const errorsOf = (text: string) => parseConfig(text).findings.filter(isError).map(short);
const standard = parseConfig('').config.settings;

describe('configurations of the field', () => {
  it('an unchanged one of RHEL changes nothing', () => {
    const { config, findings } = parse('rhel-default.conf');
    expect(findings).toEqual([]);
    expect(config.target).toBeNull();
    expect(config.settings).toEqual(standard);
    expect(config.settings.core_collector).toEqual('makedumpfile -l --message-level 7 -d 31'.split(' '));
    expect(config.origins.path).toEqual({ from: 'file', file: 'rhel-default.conf', line: 9 });
    expect(config.origins.failure_action).toEqual({ from: 'default' });
  });

  it('ssh of CentOS 7, with the old name of failure_action', () => {
    const { config, findings } = parse('centos7-ssh.conf');
    expect(config.target).toEqual({ kind: 'ssh', user: 'root', host: '192.0.2.7' });
    expect(config.settings.failure_action).toBe('reboot');
    expect(findings.map(short)).toEqual([
      "5:1 Option 'default' was renamed 'failure_action' and will be removed in the future.",
    ]);
  });

  it('a cluster, with comments behind the values', () => {
    const { config, findings } = parse('cluster.conf');
    expect(findings).toEqual([]);
    expect(config.settings.fence_kdump_nodes).toEqual(['rhel88-02-hb']);
    expect(config.settings.fence_kdump_args.join(' ')).toBe('-p 7410 -f auto -c 0 -i 10');
  });

  it('NFS by IPv6, hooks and actions, with odd blanks', () => {
    const { config, findings } = parse('nfs-ipv6.conf');
    expect(findings).toEqual([]);
    expect(config.target).toEqual({
      kind: 'nfs',
      server: '[2001:db8::1:2:3:4]',
      export: '/export/tmp',
      mountOptions: '',
    });
    expect(config.settings).toMatchObject({
      path: '/dumps',
      extra_modules: ['tun', 'vfat'],
      extra_bins: ['/usr/bin/pidstat', '/usr/bin/vmstat'],
      kdump_pre: '/var/crash/scripts/kdump-pre.sh',
      failure_action: 'dump_to_rootfs',
      final_action: 'poweroff',
    });
  });

  it('a target among the arguments for dracut', () => {
    const { config, findings } = parse('dracut-mount.conf');
    expect(findings).toEqual([]);
    expect(config.target).toEqual({
      kind: 'filesystem',
      fstype: 'xfs',
      device: '/dev/mapper/vg-crash',
      mountOptions: 'rw,noatime',
    });
    expect(config.origins.target).toMatchObject({ line: 1 });
    expect(config.settings.dracut_args.slice(2)).toEqual(['--omit-drivers', 'cfg80211 snd']);
  });

  it('a device that is not mounted, and lines that end as on Windows', () => {
    expect(parse('unmounted.conf').config.target).toMatchObject({
      fstype: 'xfs',
      device: 'UUID=0a1b2c3d-0000-4000-8000-000000000000',
    });
    const { config, findings } = parse('windows.conf');
    expect(findings).toEqual([]);
    expect(config.target).toMatchObject({ device: 'LABEL=/boot' });
    expect(config.settings.core_collector.at(-1)).toBe('31');
  });

  it('what is ours', () => {
    const { config, findings } = parse('ours.conf');
    expect(findings.map(({ code }) => code)).toEqual(['hash-in-value']);
    expect(config.settings).toMatchObject({
      fallback_target: [
        { kind: 'nfs', server: 'files.example.org', export: '/dumps' },
        { kind: 'directory', path: '/var/crash' },
      ],
      retain_count: 5,
      retain_bytes: 20 * 2 ** 30,
      retain_free: 10,
      retain_age: 30 * 86400,
      min_free: { bytes: 2 ** 31 },
      report: false,
      capture_deadline: 3600,
      stall_timeout: 90,
      notify: [
        { when: 'capture', how: 'post', to: 'https://hooks.example.org/kdump?token=a#b' },
        { when: 'boot', how: 'exec', to: '/usr/local/sbin/tell' },
      ],
    });
  });

  it('RHEL 5: each removed directive with what to do instead', () => {
    const { findings } = parse('rhel5.conf');
    const errors = findings.filter(isError);
    expect(errors.map(short)).toEqual(
      ['net', 'link_delay', 'disk_timeout', 'options', 'blacklist', 'debug_mem_level'].map(
        (name, index) =>
          `${index + 1}:1 Deprecated kdump config option: ${name}. Refer to kdump.conf manpage for alternatives.`,
      ),
    );
    for (const { fix } of errors) expect(fix).toMatch(/\.$/);
  });
});

describe('mistakes', () => {
  it('are all told at once, each with its place', () => {
    expect(parse('every-mistake.conf').findings.map(short)).toEqual([
      '3:1 Invalid kdump config option Path',
      '4:1 Duplicated kdump config value of option path, first given in line 1',
      '5:1 More than one dump targets specified, the first in line 2',
      '6:1 More than one dump targets specified, the first in line 2',
      `7:16 Invalid kdump config value for option 'failure_action': "sleep" is none of reboot, halt, poweroff, shell, dump_to_rootfs`,
      `8:14 Invalid kdump config value for option 'final_action': "shell" is none of reboot, halt, poweroff`,
      `9:15 Invalid kdump config value for option 'force_rebuild': "yes" is neither 0 nor 1`,
      "10:1 Invalid kdump config value for option 'raw': it has none",
      '11:1 Invalid kdump config option core-collector',
      `12:12 Invalid kdump config value for option 'retain_age': "soon" is not a time such as 90, 15m, 2h or 30d`,
      expect.stringContaining("13:8 Invalid kdump config value for option 'notify'"),
    ]);
    expect(parse('every-mistake.conf').findings[8]!.fix).toBe('Did you mean core_collector?');
  });

  it.each([
    ['force_rebuild 1\nforce_no_rebuild 1', /enabled simultaneously in kdump.conf, in lines 1 and 2/],
    ['core_collector scp', /scp copies to ssh targets only/],
    ['core_collector makedumpfile --nonsense', /^1:0 .*makedumpfile: unrecognized option '--nonsense'/],
    ['core_collector makedumpfile -d 99', /makedumpfile: .*99/],
    ['core_collector makedumpfile --split', /makedumpfile: /],
    ['core_collector dd bs=1M', /is "dd bs=1M", expected "makedumpfile OPTION…" or "cp"/],
    ['core_collector cp -a', /is "cp -a", expected/],
    ['raw /dev/sda1\ncore_collector cp', /^2:0 .* where a target is raw/],
    ['ssh a@b\ncore_collector scp\nfallback_target raw /dev/sda1', /scp copies to ssh targets only/],
    ['dracut_args --mount "a b c" --mount "d e f"', /Multiple mount targets specified in one "dracut_args"/],
    ['ext4 /dev/sda1\ndracut_args --mount "/dev/sdb /x ext4"', /2:1 More than one dump targets .* line 1/],
    ['path /var/../etc', /leads out of its directory/],
    ['raw /etc/passwd', /not a device below \/dev/],
    ['ext4 sda1', /neither a device nor UUID/],
    ['ext4 UUID=', /neither a device nor UUID/],
    ['nfs server', /not SERVER:\/EXPORT/],
    ['nfs -o:/x', /not SERVER:\/EXPORT/],
    ['nfs 2001:db8::1:/x', /not SERVER:\/EXPORT/],
    ['ssh -oProxyCommand=x@host', /not USER@HOST/],
    ['ssh user@-oProxyCommand=x', /not USER@HOST/],
    ['ssh user@host;reboot', /not USER@HOST/],
    ['virtiofs a b', /not the tag/],
    ['kdump_pre hook.sh', /not an absolute path/],
    ['fallback_target ftp x', /is not a target/],
    ['fallback_target nfs x', /not SERVER:\/EXPORT/],
    ['retain_free 100%', /from 0 to 99/],
    ['retain_bytes big', /not a size/],
    ['notify boot post ftp://x/', /neither http nor https/],
    ['notify boot exec tell', /not an absolute path/],
    ['path ""', /it has none/],
    ['toString x', /Invalid kdump config option toString/],
    ['__proto__ x', /Invalid kdump config option __proto__/],
  ])('%j', (text, message) => expect(errorsOf(text)).toEqual([expect.stringMatching(message)]));

  it.each([
    ['ssh root@2001:db8::1', { kind: 'ssh', user: 'root', host: '2001:db8::1' }],
    ['ssh a.b@[fe80::1%eth0]', { kind: 'ssh', user: 'a.b', host: 'fe80::1%eth0' }],
    ['raw /dev/disk/by-id/x-part1', { kind: 'raw', device: '/dev/disk/by-id/x-part1' }],
    ['virtiofs myfs', { kind: 'virtiofs', tag: 'myfs' }],
    [
      'btrfs LABEL=my disk',
      { kind: 'filesystem', fstype: 'btrfs', device: 'LABEL=my disk', mountOptions: '' },
    ],
    [
      'dracut_args --mount "srv:/x /mnt nfs4 vers=4"',
      { kind: 'nfs', server: 'srv', export: '/x', mountOptions: 'vers=4' },
    ],
  ])('%j is right', (text, target) => {
    expect(errorsOf(text)).toEqual([]);
    expect(parseConfig(text).config.target).toEqual(target);
  });

  it('a value that is wrong leaves the default', () =>
    expect(parseConfig('final_action no').config.settings.final_action).toBe('reboot'));

  it('everything but "no" is yes, as in the original, but is mentioned', () => {
    const { config, findings } = parseConfig('auto_reset_crashkernel No');
    expect(config.settings.auto_reset_crashkernel).toBe(true);
    expect(findings.map(short)).toEqual(['1:24 auto_reset_crashkernel: "No" counts as yes.']);
  });
});

describe('whatever the text is', () => {
  it('ten megabytes of garbage are one error', () => {
    expect(errorsOf('x y\n'.repeat(2_500_000))).toEqual([expect.stringContaining('too many')]);
    expect(errorsOf('a\0b')).toEqual(['0:0 this is not text']);
  });

  it('many errors are cut short', () => {
    const errors = parseConfig('nonsense 1\n'.repeat(5000)).findings;
    expect(errors).toHaveLength(51);
    expect(errors.at(-1)!.message).toBe('4950 more findings are not listed');
  });

  const value = fc.oneof(
    fc.constantFrom(
      '1',
      '0',
      'yes',
      '/a',
      '/dev/x',
      'a:/b',
      'a@b',
      'reboot',
      '10%',
      '1G',
      'boot exec /x',
      'nfs a:/b',
    ),
    fc.string({ unit: fc.constantFrom('a', '/', '"', '#', ' ', '@', ':', '%', '=', "'"), maxLength: 12 }),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  const line = fc.oneof(
    fc
      .tuple(fc.constantFrom(...directiveNames, ...targetDirectives, 'default', 'net', '#path'), value)
      .map((l) => l.join(' ')),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const text = fc.array(line, { maxLength: 12 }).map((lines) => lines.join('\n'));

  it('it is read without an exception, and what was understood is the same when printed and read again', () => {
    fc.assert(
      fc.property(text, (written) => {
        const first = parseConfig(written);
        const again = parseConfig(printConfig(first));
        expect(again.config.settings).toEqual(first.config.settings);
        expect(again.config.target).toEqual(first.config.target);
        expect(printConfig(again)).toBe(printConfig(first));
        expect(JSON.parse(JSON.stringify(first.config))).toEqual(first.config);
      }),
      { numRuns: 3000 },
    );
  });
});
