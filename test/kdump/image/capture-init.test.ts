import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { CaptureConfig } from '../../../src/kdump/capture/config.ts';
import { captureInit, captureScript } from '../../../src/kdump/image/capture-init.ts';
import { shellQuote } from '../../../src/kdump/image/shell.ts';

const config: CaptureConfig = {
  target: { device: "LABEL=it's $(here)", fstype: 'ext4', mountOptions: '' },
  path: '/var/crash',
  host: 'vm',
  coreCollector: ['cp'],
  finalAction: 'poweroff',
  deviceTimeout: 30,
};

describe('captureInit', () => {
  it('is a script that the shell can read', () => {
    const checked = spawnSync('/bin/sh', ['-n'], { input: captureInit(config) });
    expect(checked.stderr.toString()).toBe('');
    expect(checked.status).toBe(0);
  });

  it('ends with the final action, and with a reboot when that does not work', () => {
    const script = captureInit(config);
    expect(script.trimEnd().split('\n').at(-1)).toBe('leave');
    expect(script).toMatch(/poweroff -f\n {2}reboot -f\n {2}echo b > \/proc\/sysrq-trigger/);
  });

  it('takes words from the settings as they are', () => {
    expect(captureInit(config)).toContain(`device='LABEL=it'\\''s $(here)'`);
    const echoed = spawnSync('/bin/sh', ['-c', `printf %s ${shellQuote('a\'b $(c) \\ "')}`]);
    expect(echoed.stdout.toString()).toBe('a\'b $(c) \\ "');
  });
});

describe('captureScript', () => {
  const mounted: CaptureConfig = { ...config, target: { mountPoint: '/sysroot' } };
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
    expect(script).toMatch(/sync; mount -o remount,ro '\/sysroot'[\s\S]*poweroff -f -f\n {2}reboot -f -f\n/);
    expect(script).not.toMatch(/umount/);
    expect(script.trimEnd().split('\n').at(-1)).toBe('leave');
  });

  it('does not capture when it is told why it cannot', () => {
    const [before] = script.split('say "capture begins"');
    expect(before).toContain('if [ $# -gt 0 ]; then\n  say "no capture: $*"\n  leave\nfi');
    expect(before).not.toContain('mount -t');
  });

  it('starts node by the loader of the tree', () => {
    expect(script).toContain('/run/kdump/lib/ld.so --library-path /run/kdump/lib /run/kdump/bin/node');
  });
});
