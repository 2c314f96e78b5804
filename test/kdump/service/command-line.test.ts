import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommandLineParts } from '../../../src/kdump/config/effective.ts';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import {
  type CommandLineFacts,
  captureCommandLine,
  readCommandLineFacts,
} from '../../../src/kdump/service/command-line.ts';
import { splitWords } from '../../../src/kexec/command-line.ts';
import { errorOf } from '../../kexec/fixtures.ts';
import { withRoot } from '../config/fixtures.ts';

const defaults = readSettings('/nowhere').settings.commandLine;
const parts = (given: Partial<CommandLineParts> = {}): CommandLineParts => ({
  whole: null,
  base: null,
  remove: ['quiet', 'root', 'crashkernel'],
  append: 'nr_cpus=1',
  ...given,
});
const facts = (given: Partial<CommandLineFacts> = {}): CommandLineFacts => ({
  running: 'BOOT_IMAGE=(hd0,gpt2)/vmlinuz root=UUID=1 ro quiet console=ttyS0 crashkernel=1G',
  bootCpuApicid: null,
  watchdogs: [],
  graviton: false,
  ...given,
});

describe('captureCommandLine', () => {
  test('is the running one without what would be wrong, and with what is needed', () => {
    expect(captureCommandLine(parts(), 'own', facts())).toBe('ro console=ttyS0 nr_cpus=1 rootfstype=ramfs');
  });

  test('is what is given as a whole, to the letter', () => {
    const whole = ' a  b root=x ';
    expect(captureCommandLine(parts({ whole }), 'own', facts({ running: null }))).toBe(whole);
  });

  test('begins with another line when that is given', () => {
    expect(captureCommandLine(parts({ base: 'root=1 x' }), 'own', facts({ running: null }))).toBe(
      'x nr_cpus=1 rootfstype=ramfs',
    );
  });

  test('leaves root= to an initramfs that needs it', () => {
    expect(captureCommandLine(parts(), 'dracut', facts())).toBe(
      'root=UUID=1 ro console=ttyS0 nr_cpus=1 rd.systemd.gpt_auto=no',
    );
  });

  test('knows boot CPU and watchdogs', () => {
    const machine = facts({ running: 'x', bootCpuApicid: 4, watchdogs: ['hpwdt', 'iTCO_wdt'] });
    expect(captureCommandLine(parts(), 'own', machine)).toBe(
      'x nr_cpus=1 rootfstype=ramfs disable_cpu_apicid=4 hpwdt.pretimeout=0 hpwdt.kdumptimeout=0 iTCO_wdt.pretimeout=0',
    );
  });

  test('says nothing that somebody has said', () => {
    const given = parts({ append: 'disable_cpu_apicid=7 rootfstype=tmpfs' });
    expect(captureCommandLine(given, 'own', facts({ running: 'x', bootCpuApicid: 4 }))).toBe(
      'x disable_cpu_apicid=7 rootfstype=tmpfs',
    );
  });

  test('keeps what is for init behind its dashes', () => {
    expect(captureCommandLine(parts(), 'own', facts({ running: 'x -- quiet' }))).toBe(
      'x nr_cpus=1 rootfstype=ramfs -- quiet',
    );
  });

  test('by default lets the image take more than half of the memory, whoever builds it', () => {
    const line = (builder: 'own' | 'dracut') => captureCommandLine(defaults, builder, facts());
    expect(line('own')).toMatch(/ rootfstype=ramfs/);
    expect(line('own')).not.toMatch(/initramfs_options/);
    expect(line('dracut')).toMatch(/ initramfs_options=size=90%/);
    expect(captureCommandLine(defaults, 'own', facts({ graviton: true }))).not.toMatch(/irqpoll/);
  });

  test('needs a line to begin with', () => {
    expect(errorOf(() => captureCommandLine(parts(), 'own', facts({ running: null }))).code).toBe(
      'no-command-line',
    );
  });

  test('never has a parameter that is to be removed, and all that is added', () => {
    const word = fc.stringMatching(/^[a-z]{1,3}(=[a-z0-9"/]{0,4})?$/).filter((text) => !text.includes('"'));
    fc.assert(
      fc.property(fc.array(word), fc.array(word), fc.array(word), (running, remove, append) => {
        const names = remove.map((text) => text.split('=')[0]!);
        const line = captureCommandLine(
          parts({ remove: names, append: append.join(' ') }),
          'own',
          facts({ running: running.join(' ') }),
        );
        const words = splitWords(line);
        const end = words.length - append.length - 1;
        expect(words.slice(end)).toEqual([...append, 'rootfstype=ramfs']);
        for (const kept of words.slice(0, end)) expect(names).not.toContain(kept.split('=')[0]);
      }),
    );
  });
});

describe('readCommandLineFacts', () => {
  test('finds the boot CPU and the watchdogs that run', () => {
    withRoot(
      {
        'proc/cmdline': 'root=/dev/sda1 quiet\n',
        'proc/cpuinfo':
          'processor\t: 0\napicid\t\t: 2\ninitial apicid\t: 2\n\nprocessor\t: 1\ninitial apicid\t: 9\n',
        'sys/class/watchdog/watchdog0/state': 'active\n',
        'sys/class/watchdog/watchdog1/state': 'inactive\n',
        'sys/class/watchdog/watchdog2/state': 'active\n',
        'proc/sys/kernel/arch': 'aarch64\n',
        'sys/class/dmi/id/sys_vendor': 'Amazon EC2\n',
      },
      (root) => {
        const link = (path: string, target: string) => {
          mkdirSync(dirname(join(root, path)), { recursive: true });
          symlinkSync(target, join(root, path));
        };
        link('sys/class/watchdog/watchdog0/device/driver', '../../bus/pci/drivers/hpwdt');
        link('sys/class/watchdog/watchdog1/device/driver', '../../bus/pci/drivers/i6300esb');
        expect(readCommandLineFacts(root)).toEqual({
          running: 'root=/dev/sda1 quiet',
          bootCpuApicid: 2,
          watchdogs: ['hpwdt'],
          graviton: true,
        });
      },
    );
  });

  test('of a machine that says nothing', () => {
    expect(readCommandLineFacts('/nowhere')).toEqual({
      running: null,
      bootCpuApicid: null,
      watchdogs: [],
      graviton: false,
    });
  });
});
