import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { CaptureConfig } from '../../../src/kdump/capture/config.ts';
import { captureInit } from '../../../src/kdump/image/capture-init.ts';
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
