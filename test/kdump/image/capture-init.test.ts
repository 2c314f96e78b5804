import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CaptureConfig, captureConfig } from '../../../src/kdump/capture/config.ts';
import { captureInit, captureScript } from '../../../src/kdump/image/capture-init.ts';
import { shellQuote } from '../../../src/kdump/image/shell.ts';
import { temporary } from './fixture.ts';

const device = {
  kind: 'filesystem',
  device: "LABEL=it's $(here)",
  fstype: 'ext4',
  mountOptions: '',
} as const;
const ssh = { kind: 'ssh', user: 'dumps', host: 'server' } as const;
const config = captureConfig({ targets: [device], host: 'vm', finalAction: 'poweroff' });

describe('captureInit', () => {
  it('is a script that the shell can read', () => {
    const checked = spawnSync('/bin/sh', ['-n'], { input: captureInit(config) });
    expect(checked.stderr.toString()).toBe('');
    expect(checked.status).toBe(0);
  });

  it('ends with the final action, and with a reboot when that does not work', () => {
    const script = captureInit(config);
    expect(script.trimEnd().split('\n').at(-1)).toBe('leave');
    expect(script).toMatch(/\$action -f -f -n\n {2}reboot -f -f -n\n {2}echo b > \/proc\/sysrq-trigger/);
  });

  it.each([
    ['reboot', 'reboot'],
    ['shell', 'poweroff'],
  ] as const)('without a word of the capture, the failure action %s ends in %s', (failureAction, action) => {
    expect(captureInit({ ...config, failureAction })).toContain(
      `  action=${action}\n  if [ -r /run/capture-action ]`,
    );
  });

  it('writes the log to the first target that a shell can mount, and says so when there is none', () => {
    const both = captureInit({ ...config, targets: [ssh, { ...device, path: '/dumps' }] });
    expect(both).toContain("directory='/run/target''/dumps'/'vm'");
    const home = captureInit({ ...config, targets: [ssh], home: { ...device, path: '/accounts' } });
    expect(home).toMatch(/save_log_only\(\) \{\nfor module in \/modules\/home\/\*\.ko; do/);
    expect(home).toContain("directory='/run/target''/accounts'/'vm'");
    expect(spawnSync('/bin/sh', ['-n'], { input: home }).status).toBe(0);
    const none = captureInit({ ...config, targets: [ssh] });
    expect(none).toContain('no target can be written without it');
    expect(spawnSync('/bin/sh', ['-n'], { input: none }).status).toBe(0);
  });

  it('has what is written sent to the disk soon', () => {
    const [before, after] = captureInit(config).split('echo 200 > /proc/sys/vm/dirty_expire_centisecs\n');
    expect(before).toContain('mount -t proc proc /proc');
    expect(after).toMatch(/\n {2}run_capture /);
  });

  it('lets go of an NFS server that keeps a capture from being ended, and of nothing else', () => {
    const nfs = { kind: 'nfs', server: 'a', export: '/b', mountOptions: '' } as const;
    const script = captureInit({ ...config, targets: [ssh, nfs] });
    expect(script).toMatch(/kill -9 "\$1"\n[\s\S]{0,60}umount -f -l \/run\/target/);
    expect(spawnSync('/bin/sh', ['-n'], { input: script }).status).toBe(0);
    expect(captureInit(config)).not.toContain('umount -f');
  });

  it('takes words from the settings as they are', () => {
    expect(captureInit(config)).toContain(`device='LABEL=it'\\''s $(here)'`);
    const echoed = spawnSync('/bin/sh', ['-c', `printf %s ${shellQuote('a\'b $(c) \\ "')}`]);
    expect(echoed.stdout.toString()).toBe('a\'b $(c) \\ "');
  });
});

describe('captureScript', () => {
  const mounted: CaptureConfig = { ...config, targets: [{ kind: 'mounted', mountPoint: '/sysroot' }] };
  const script = captureScript(mounted, '/run/kdump/lib/ld.so');

  it.each(['sh', 'bash'])('is a script that %s can read', (shell) => {
    const checked = spawnSync(shell, ['-n'], { input: script });
    expect(checked.stderr.toString()).toBe('');
    expect(checked.status).toBe(0);
  });

  it('makes the target writable, and read-only again before the end', () => {
    const order = ["mount -o remount,rw '/sysroot'", 'run_capture || {'].map((words) =>
      script.indexOf(words),
    );
    expect(order[0]).toBeGreaterThan(0);
    expect(order[1]).toBeGreaterThan(order[0]!);
    expect(script).toMatch(
      /sync; mount -o remount,ro '\/sysroot'[\s\S]*\$action -f -f -n\n {2}reboot -f -f -n\n/,
    );
    expect(script).not.toMatch(/umount/);
    expect(script.trimEnd().split('\n').at(-1)).toBe('leave');
  });

  it('does not capture when it is told why it cannot', () => {
    const [before] = script.split('say "capture begins"');
    expect(before).toContain('if [ $# -gt 0 ]; then\n  say "no capture: $*"\n  leave\nfi');
    expect(before).not.toContain('mount -t');
  });

  it('waits for a capture that runs already, whatever it is told', () => {
    const { root, remove } = temporary();
    try {
      const begin = script.slice(script.indexOf('if read -r other'), script.indexOf('if [ $# -gt 0 ]'));
      const runner = join(root, 'runner');
      const lines = [
        'say() { echo "$*"; }',
        // Ends once somebody waits for it.
        `sh -c 'until [ -e ${root}/waits ]; do :; done' &`,
        `echo $! > ${runner}`,
        `sleep() { : > ${root}/waits; command sleep 0.01; }`,
        begin.replaceAll('/run/capture-runner', runner),
        `[ "$(cat ${runner})" = $$ ] && echo "its turn"`,
      ];
      const { stdout } = spawnSync('sh', ['-c', lines.join('\n'), 'sh', 'a mount failed'], {
        timeout: 20_000,
      });
      expect(stdout.toString()).toBe('a capture runs already: a mount failed\nits turn\n');
    } finally {
      remove();
    }
  });

  it('goes on with the targets that need no mount', () => {
    const both = captureScript({ ...mounted, targets: [...mounted.targets, ssh] }, '/ld.so', ['virtio_net']);
    expect(both).not.toContain('no capture');
    expect(both).toContain("for module in 'loop' 'squashfs' 'virtio_net'; do");
    expect(spawnSync('/bin/sh', ['-n'], { input: both }).status).toBe(0);
  });

  it('starts node by the loader of the tree', () => {
    expect(script).toContain('/run/kdump/lib/ld.so --library-path /run/kdump/lib /run/kdump/bin/node');
  });
});
