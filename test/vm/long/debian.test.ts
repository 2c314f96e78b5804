// The lab's Debian guest and its server can be relied on: what tests of the service build upon.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DebianGuest, startDebian } from '../lab/debian/guest.ts';
import { type Server, startServer } from '../lab/debian/server.ts';

/** Words of the script with the server; each phase is one boot. */
const script = `
case $phase in
first)
  say "state $(systemctl is-system-running --wait)"
  systemctl list-units --failed --no-legend --plain | while read -r unit rest; do say "unit $unit failed"; done
  say "reserved $(cat /sys/kernel/kexec_crash_size)"
  say "node $(node -p 1+1) $(dpkg-query -W -f '\${db:Status-Abbrev}' nodejs)"
  modprobe -n xfs && [ -e "/boot/vmlinuz-$(uname -r)" ] && say "kernel complete"
  mkfs.ext4 -q /dev/vdc && mkdir /mnt/target && mount /dev/vdc /mnt/target && fill /mnt/target 8
  say "left $(($(stat -f -c '%f * %S' /mnt/target) / 1048576))"
  rm /mnt/target/filling
  say "host please slow"
  await 60 'begin=$(date +%s); dd if=/dev/zero of=/mnt/target/slow bs=1M count=4 oflag=direct 2>/dev/null; [ $(($(date +%s) - begin)) -ge 3 ]' && say "slow"
  ssh -o BatchMode=yes -o StrictHostKeyChecking=yes kdump@server 'cat >/srv/ssh/word && sync' <<WORD || say "no ssh"
by ssh
WORD
  mkdir /mnt/nfs && mount -t nfs4 server:/srv/nfs /mnt/nfs && echo "by nfs" >/mnt/nfs/word && umount /mnt/nfs || say "no nfs"
  next_phase second
  say "host please cut"
  sleep 60
  ;;
second)
  say "again $(ssh -o BatchMode=yes kdump@server cat /srv/ssh/word)"
  boot=$(ssh -o BatchMode=yes kdump@server cat /proc/sys/kernel/random/boot_id)
  echo kept >/mnt/kept && sync
  next_phase third
  say "host please pull"
  await 30 '[ ! -e /dev/vdc ]' && say "pulled"
  say "host please freeze"
  await 30 '! ssh -o BatchMode=yes -o ConnectTimeout=5 kdump@server true' && say "silent"
  say "host please thaw"
  await 60 'ssh -o BatchMode=yes -o ConnectTimeout=5 kdump@server true' && say "speaking"
  say "host please reset"
  await 120 'now=$(ssh -o BatchMode=yes -o ConnectTimeout=5 kdump@server cat /proc/sys/kernel/random/boot_id) && [ "$now" != "$boot" ]' && say "reset"
  say "host please unplug"
  await 30 '! ssh -o BatchMode=yes -o ConnectTimeout=5 kdump@server true' && say "unreachable"
  say "host please plug"
  await 60 'ssh -o BatchMode=yes -o ConnectTimeout=5 kdump@server true' && say "reachable"
  echo c >/proc/sysrq-trigger
  ;;
third)
  [ -e /dev/vdc ] || say "still pulled"
  finish "finished"
  ;;
esac
`;

let directory: string;
let server: Server;
let guest: DebianGuest;
/** What the console said before the power was cut. */
let firstBoot: string;
let log: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-test-'));
  server = await startServer();
  guest = await startDebian({
    script,
    crashkernel: '192M',
    disks: [128],
    network: server.network,
  });
  await guest.says(/\blab: host please slow/, 120);
  await guest.slowDisk(0, 2 ** 20);
  await guest.says(/\blab: host please cut/, 120);
  firstBoot = guest.console.text();
  await guest.powerCut();
  await guest.powerOn();
  await guest.says(/\blab: host please pull/, 120);
  await guest.pullDisk(0);
  await guest.says(/\blab: host please freeze/, 60);
  await server.freeze();
  await guest.says(/\blab: host please thaw/, 60);
  await server.thaw();
  await guest.says(/\blab: host please reset/, 90);
  await server.reset();
  await guest.says(/\blab: host please unplug/, 60);
  await server.unplug();
  await guest.says(/\blab: host please plug/, 60);
  await server.plug();
  await guest.finished(180);
  await server.stop();
  log = guest.console.text();
});
afterAll(async () => {
  await guest?.remove();
  await server?.remove();
  rmSync(directory, { recursive: true, force: true });
});

test('systemd has started everything', () => {
  expect(firstBoot).toMatch(/lab: state running\b/);
  expect(firstBoot).not.toMatch(/lab: unit .* failed/);
});

test('memory for the capture kernel is reserved, and what a capture image is made from is there', () => {
  expect(firstBoot).toMatch(new RegExp(`lab: reserved ${192 * 2 ** 20}\\b`));
  expect(firstBoot).toMatch(/lab: node 2 ii\b/);
  expect(firstBoot).toMatch(/lab: kernel complete/);
});

test('a disk can be filled, slowed down and taken away', () => {
  expect(firstBoot).toMatch(/lab: left [78]\b/);
  expect(firstBoot).toMatch(/lab: slow\b/);
  expect(log).toMatch(/lab: pulled/);
  expect(log).toMatch(/lab: still pulled/);
});

test('the server takes what comes by ssh and by NFS, and its files can be read afterwards', async () => {
  expect(firstBoot).not.toMatch(/lab: no (ssh|nfs)/);
  expect(await server.guest.read('root', '/srv', join(directory, 'srv'))).toBe(true);
  expect(readFileSync(join(directory, 'srv/ssh/word'), 'utf8')).toBe('by ssh\n');
  expect(readFileSync(join(directory, 'srv/nfs/word'), 'utf8')).toBe('by nfs\n');
});

test('a power cut and a crash lose neither the disks nor the phase', async () => {
  expect(log).toMatch(/lab: again by ssh/);
  expect(await guest.read('root', '/mnt', join(directory, 'mnt'))).toBe(true);
  expect(readFileSync(join(directory, 'mnt/kept'), 'utf8')).toBe('kept\n');
  expect(existsSync(join(directory, 'mnt/nfs/word'))).toBe(false);
});

test('the server can stand still and go on, and begin anew', () => {
  expect(log).toMatch(/lab: silent/);
  expect(log).toMatch(/lab: speaking/);
  expect(log).toMatch(/lab: reset/);
});

test('the cable of the server can be pulled and put back', () => {
  expect(log).toMatch(/lab: unreachable/);
  expect(log).toMatch(/lab: reachable/);
});
