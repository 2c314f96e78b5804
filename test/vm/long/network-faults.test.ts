// What goes wrong on the way to another machine: the capture ends in a reboot, with all saved that could be saved, and the
// next boot says what happened.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { verify } from '../../../src/dump/verify.ts';
import type { DebianGuest } from '../lab/debian/guest.ts';
import { onlyDump, type RoadOptions, type RoadResult } from '../lab/debian/road.ts';
import { type Server, startServer } from '../lab/debian/server.ts';
import { roadWalker } from '../lab/debian/walker.ts';
import { repository } from '../lab/images.ts';

/** Seconds for a road with all its waits, and for the server that serves them all. */
const deadline = 1400;
const serverDeadline = 7200;

const receiver = readFileSync(repository('ssh/kdump-receive'), 'utf8');
/** An account of its own for each fault by ssh, so that none spoils another; all may write to one directory. */
const accounts = ['refuser', 'leaver', 'resetter', 'receiver'];
const prepare = `
install -d -m 1777 /srv/dumps
for name in ${accounts.join(' ')}; do
  id $name >/dev/null 2>&1 && continue
  useradd --create-home --shell /bin/sh --password '*' $name
  install -d -o $name -g $name -m 700 /home/$name/.ssh
  install -o $name -g $name -m 600 /home/kdump/.ssh/authorized_keys /home/$name/.ssh/authorized_keys
done
cat >/usr/local/bin/kdump-receive <<'RECEIVER'
${receiver}RECEIVER
sed -i 's#^restrict #command="sh /usr/local/bin/kdump-receive /srv/dumps",restrict #' /home/receiver/.ssh/authorized_keys
`;

vi.setConfig({ testTimeout: 1_500_000 });

let server: Server;
beforeAll(async () => {
  server = await startServer({ prepare, deadline: serverDeadline });
});
afterEach(async () => {
  await server.plug();
  await server.thaw();
});
afterAll(() => server?.remove());
const walkOn = roadWalker({ deadline });

/** A road with the server's network; the machine was armed on it, whatever became of the dump. */
async function walk(options: RoadOptions): Promise<RoadResult> {
  const road = await walkOn({ network: server.network, ...options });
  expect(road.said('enable')).toMatchObject({ status: 0 });
  return road;
}

const path = 'path /srv/dumps\n';
const key = 'sshkey /root/.ssh/id_ed25519\n';
/** Long enough to go wrong in its middle. */
const everything = 'core_collector makedumpfile -c -d 0\n';
const isUnderWay = /Copying data/;

/** A second target on a disk of its own, and the dump that it holds in the end. */
const ownDisk = { disks: [1536], prepare: 'mkfs.ext4 -q /dev/vdc' } as const;
async function onOwnDisk(road: RoadResult) {
  const copy = join(road.results, 'own');
  expect(await road.guest.read(0, '/srv/dumps', copy)).toBe(true);
  const dump = onlyDump(copy);
  expect(verify([join(dump.path, 'vmcore')], () => {})).toMatchObject({ ok: true });
  return dump.report;
}

/** What the next boot knows without asking anybody. */
function told(road: RoadResult) {
  const { dumps } = JSON.parse(road.said('list').text);
  expect(dumps).toHaveLength(1);
  return {
    dump: dumps[0],
    status: road.said('status-after').text,
    shown: JSON.parse(road.said('show').text),
  };
}

/** What the client does in the end to see the files that an account of the server has made. */
const look = (account: string): string =>
  `ssh ${account}@server 'find /srv/dumps -type f -user ${account} 2>/dev/null' >/disk/results/there`;
const filesThere = (road: RoadResult): string[] =>
  readFileSync(join(road.results, 'there'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('/').at(-1)!)
    .sort();

/** Does something to the server now, and takes it back when the capture is over. */
const untilReboot = (act: () => Promise<void>, undo: () => Promise<void>) => async (guest: DebianGuest) => {
  await act();
  await guest.says(/kdump: \[ *[\d.]+\] reboot/, 900);
  await undo();
};

test('a receiver that only takes dumps has it, and the next boot knows', async () => {
  const road = await walk({ conf: `ssh receiver@server\n${key}${path}` });
  const { dump, status, shown } = told(road);
  expect(dump).toMatchObject({
    state: 'complete',
    elsewhere: { place: expect.stringMatching(/^receiver@server:\/srv\/dumps\//), file: 'vmcore.flat' },
  });
  expect(status).toMatch(/ended in a crash: receiver@server:\/srv\/dumps\/\S+, complete/);
  expect(shown.report).toMatchObject({ state: 'complete', errors: [] });
});

test('another host key, a key that is refused, a server that goes in the middle: the last target has the dump', async () => {
  const road = await walk({
    conf: [
      `ssh leaver@elsewhere\n${key}${path}${everything}`,
      'fallback_target ssh refuser@server\n',
      'fallback_target ssh leaver@server\n',
      'fallback_target nfs server:/srv/nfs\n',
      'fallback_target ext4 /dev/vdc\n',
    ].join(''),
    disks: ownDisk.disks,
    prepare: [
      ownDisk.prepare,
      'echo "10.77.0.1 elsewhere" >>/etc/hosts',
      'ssh-keygen -q -t ed25519 -N "" -f /tmp/other',
      'echo "elsewhere $(cut -d " " -f 1-2 /tmp/other.pub)" >>/root/.ssh/known_hosts',
    ].join('\n'),
    beforeCrash: 'ssh refuser@server ": >.ssh/authorized_keys"',
    during: { says: isUnderWay, act: untilReboot(server.unplug, server.plug) },
    after: look('leaver'),
  });
  const report = await onOwnDisk(road);
  const refused = (message: RegExp) => ({
    state: 'failed',
    error: { step: 'reach', code: 'ssh', message: expect.stringMatching(message) },
  });
  expect(report).toMatchObject({
    state: 'complete',
    targets: [
      refused(/verification failed/i),
      refused(/Permission denied/),
      { state: 'incomplete', bytes: expect.any(Number), error: { step: 'collect', code: 'ssh' } },
      { state: 'failed', error: { step: 'reach', code: 'mount' } },
      { state: 'complete', file: 'vmcore' },
    ],
  });
  const there = filesThere(road);
  expect(there).toEqual(expect.arrayContaining(['dump.json', 'vmcore-dmesg.txt', 'vmcore-incomplete']));
  expect(there).not.toContain('vmcore.flat');
  const { dump, status } = told(road);
  expect(dump).toMatchObject({ state: 'complete', elsewhere: { file: 'vmcore' } });
  expect(status).toMatch(/ended in a crash: .*, complete/);
});

test('an NFS server that answers no more in the middle: no verb hangs, and the account is at home', async () => {
  const road = await walk({
    conf: `nfs server:/srv/nfs\npath frozen\n${everything}`,
    prepare: 'mkdir -p /mnt/nfs && mount -t nfs -o hard server:/srv/nfs /mnt/nfs && mkdir -p /mnt/nfs/frozen',
    whenArmed: () => server.freeze(),
    beforeCrash: [
      'ctl tried target test --timeout=60',
      'ctl listed list',
      'say "host please thaw"',
      'await 300 "stat -f /mnt/nfs >/dev/null"',
    ].join('\n'),
    during: {
      says: /lab: host please thaw/,
      act: async (guest) => {
        await server.thaw();
        await guest.says(isUnderWay, 600);
        await untilReboot(server.freeze, server.thaw)(guest);
      },
    },
    after:
      'mkdir /tmp/nfs && mount server:/srv/nfs /tmp/nfs && find /tmp/nfs/frozen -type f >/disk/results/there',
  });
  expect(road.said('tried')).toMatchObject({ status: 1, text: expect.stringMatching(/does not work/) });
  expect(road.said('listed')).toMatchObject({ status: 0, text: expect.stringMatching(/does not answer/) });
  expect(filesThere(road)).toContain('vmcore-dmesg.txt');
  expect(filesThere(road)).not.toContain('vmcore');
  const { dump, status, shown } = told(road);
  expect(dump).toMatchObject({
    state: 'incomplete',
    panic: expect.stringContaining('sysrq'),
    elsewhere: { place: expect.stringMatching(/^server:\/srv\/nfs:\/frozen\//), file: null },
  });
  expect(shown.report.targets).toMatchObject([
    { state: 'incomplete', error: { message: expect.stringMatching(/does not answer|no progress/) } },
  ]);
  expect(status).toMatch(/ended in a crash: server:\/srv\/nfs:\S+, incomplete/);
});

test('a server that is reset in the middle of the dump: the second target has it', async () => {
  const road = await walk({
    conf: `ssh resetter@server\n${key}${path}${everything}fallback_target ext4 /dev/vdc\n`,
    ...ownDisk,
    during: { says: isUnderWay, act: () => server.reset() },
    after: look('resetter'),
  });
  const report = await onOwnDisk(road);
  expect(report.targets).toMatchObject([
    { state: 'incomplete', error: { step: 'collect', code: 'ssh' } },
    { state: 'complete', file: 'vmcore' },
  ]);
  expect(filesThere(road)).toContain('dump.json');
  expect(filesThere(road)).not.toContain('vmcore.flat');
  expect(told(road).status).toMatch(/ended in a crash: .*, complete/);
});
