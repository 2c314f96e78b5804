// What else a machine may have and an administrator may ask for, each on a road of its own.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../../src/dump/input/open.ts';
import { verify } from '../../../src/dump/verify.ts';
import type { DebianGuest } from '../lab/debian/guest.ts';
import { onlyDump, type RoadResult } from '../lab/debian/road.ts';
import { roadWalker } from '../lab/debian/walker.ts';
import { sharedTag } from '../lab/shared-directory.ts';
import { storyTeller } from '../lab/told.ts';

const walk = roadWalker({ deadline: 840 });
const look = storyTeller();
let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'kdump-features-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const isWhole = (vmcore: string): void => expect(verify([vmcore], () => {})).toMatchObject({ ok: true });

async function copyOf(road: RoadResult, disk: 'root' | number, directory: string): Promise<string> {
  const copy = join(mkdtempSync(join(scratch, 'copy-')), 'crash');
  expect(await road.guest.read(disk, directory, copy)).toBe(true);
  return copy;
}

test('a directory that the host shares takes the dump', async () => {
  const shared = join(scratch, 'shared');
  mkdirSync(shared);
  const road = await walk({
    shared,
    conf: `virtiofs ${sharedTag}\npath crash\n`,
    beforeCrash: 'ctl tried target test',
  });
  expect(road.said('tried')).toMatchObject({ status: 0 });
  const { path, report } = onlyDump(join(shared, 'crash'));
  expect(report).toMatchObject({ state: 'complete', errors: [], targets: [{ kind: 'virtiofs' }] });
  isWhole(join(path, 'vmcore'));
  expect(road.said('status-after').text).toMatch(new RegExp(`in a crash: .*${sharedTag}.*, complete`));
});

describe('what was put in after the machine was armed is in the dump', () => {
  /** Where QEMU puts the first module: above the hole below 4 GiB. */
  const plugged = 2 ** 20;
  const reloads = (road: RoadResult): number =>
    readFileSync(join(road.results, 'journal-plugged'), 'utf8').match(/Reloading kdump: \[OK\]/g)?.length ??
    0;
  const plug = (kernel: '6.1' | '6.12', cpus: number, whenArmed: (guest: DebianGuest) => Promise<void>) =>
    walk({
      kernel,
      hotplug: true,
      whenArmed,
      beforeCrash: `
        for cpu in $(seq 2 ${cpus - 1}); do
          await 60 "[ -e /sys/devices/system/cpu/cpu$cpu ]"
          echo 1 >/sys/devices/system/cpu/cpu$cpu/online
        done
        await 60 'grep -q offline /sys/devices/system/memory/memory*/state'
        for memory in /sys/devices/system/memory/memory*/state; do
          [ "$(cat $memory)" = online ] || echo online >$memory
        done
        # Where it is told, that takes two seconds, and a load.
        [ "$(cat /sys/devices/system/memory/crash_hotplug 2>/dev/null)" = 1 ] || await 90 'journalctl -b -o cat | grep -q "Reloading kdump: .OK"'
        sleep 10
        journalctl -b -o cat >/disk/results/journal-plugged`,
    });

  async function expectAll(road: RoadResult, cpus: number): Promise<void> {
    const { path, report } = onlyDump(await copyOf(road, 'root', '/var/crash'));
    expect(report).toMatchObject({ state: 'complete', errors: [] });
    const vmcore = join(path, 'vmcore');
    const source = openSource([vmcore]);
    expect(source.maxPfn(4096)).toBeGreaterThan(plugged);
    source.close();
    expect(look(vmcore).kernel.cpus).toHaveLength(cpus);
  }

  test('6.1: memory and a processor, by a reload', async () => {
    const road = await plug('6.1', 3, async (guest) => {
      await guest.plugMemory(256);
      await guest.plugProcessor();
    });
    // A burst of events is one reload, and another one for what came while it ran.
    expect([1, 2]).toContain(reloads(road));
    await expectAll(road, 3);
  });

  // No processor: this kernel does not take the one of QEMU 7.2, which then begins in the firmware when the panic sends
  // NMIs to all of them, and resets the machine.
  test('6.12: memory, by the kernel itself', async () => {
    const road = await plug('6.12', 2, (guest) => guest.plugMemory(256));
    expect(reloads(road)).toBe(0);
    await expectAll(road, 2);
  });
});

test('a hardware watchdog that is running is fed until a slow dump is written', async () => {
  const road = await walk({
    kernel: '6.12',
    watchdog: true,
    disks: [512],
    conf: 'ext4 LABEL=dumps\npath /crash\n',
    prepare: `
      modprobe i6300esb || finish "failed: no watchdog"
      mkdir -p /etc/systemd/system.conf.d
      printf '[Manager]\\nRuntimeWatchdogSec=30\\n' >/etc/systemd/system.conf.d/watchdog.conf
      systemctl daemon-reexec
      await 30 'grep -q "^active" /sys/class/watchdog/watchdog0/state' || finish "failed: the watchdog does not run"
      mkfs.ext4 -q -L dumps /dev/vdc && mkdir -p /mnt/dumps && mount /dev/vdc /mnt/dumps`,
    // It is set to 400 seconds there, and the dump takes longer than that.
    whenArmed: (guest) => guest.slowDisk(0, 128 * 1024),
    after: 'mount /dev/vdc /mnt/dumps && cat /mnt/dumps/crash/*/kexec-dmesg.log >/disk/results/capture-log',
    deadline: 1800,
  });
  const { path, report } = onlyDump(await copyOf(road, 0, '/crash'));
  expect(report).toMatchObject({ state: 'complete', errors: [] });
  expect(report.steps.find(({ name }) => name === 'collect')!.seconds).toBeGreaterThan(400);
  isWhole(join(path, 'vmcore'));
  expect(readFileSync(join(road.results, 'capture-log'), 'utf8')).toMatch(/i6300ESB timer/);
});

test('hooks run, whoever wants to know is told, old dumps make room, and the machine is off in the end', async () => {
  const program = (name: string, deed: string) =>
    `printf '%s\\n' '#!/bin/sh' '${deed}' >/root/${name} && chmod 755 /root/${name}`;
  const road = await walk({
    conf: [
      'path /var/crash\ncore_collector makedumpfile -c -d 31 --message-level 7\n',
      'kdump_pre /root/before\nkdump_post /root/behind\nfinal_action poweroff\nretain_count 1\n',
      'notify capture exec /root/tell\nnotify boot exec /root/tell-later\n',
    ].join(''),
    prepare: [
      program('before', 'echo "said before"'),
      program('behind', 'echo "said behind, of a dump that ended with $1"'),
      program('tell', 'echo "told: $(wc -c) bytes"'),
      program('tell-later', 'cat >/var/tmp/told'),
      'mkdir -p /var/crash/guest-2020-01-01-00:00:00',
      `echo '{"format":1,"state":"complete","host":"guest","crashTime":"2020-01-01T00:00:00Z"}' >/var/crash/guest-2020-01-01-00:00:00/dump.json`,
    ].join('\n'),
    after:
      'cp /var/tmp/told /disk/results; journalctl -b -u kdump-notify -o cat >/disk/results/journal-notify',
    during: {
      says: /lab: crashing/,
      act: async (guest) => {
        await guest.machine.finished;
        await guest.powerOn();
      },
    },
  });
  const { path, files, report } = onlyDump(await copyOf(road, 'root', '/var/crash'));
  expect(report).toMatchObject({
    state: 'complete',
    errors: [],
    action: 'poweroff',
    removed: ['guest-2020-01-01-00:00:00'],
    hooks: [
      { when: 'pre', program: '/root/before', status: 0 },
      { when: 'post', program: '/root/behind', status: 0 },
    ],
  });
  isWhole(join(path, 'vmcore'));
  expect(files).toContain('kexec-dmesg.log');
  const log = readFileSync(join(path, 'kexec-dmesg.log'), 'utf8');
  expect(log).toMatch(/said before[\s\S]*said behind, of a dump that ended with 0/);
  expect(log).toMatch(/told \/root\/tell\b/);
  expect(JSON.parse(readFileSync(join(road.results, 'told'), 'utf8'))).toMatchObject({ state: 'complete' });
});
