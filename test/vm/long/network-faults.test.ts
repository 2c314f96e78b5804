// What goes wrong on the way to another machine: the capture ends in a reboot, with all saved that could be saved, and the
// next boot says what happened.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { verify } from '../../../src/dump/verify.ts';
import type { DebianGuest } from '../lab/debian/guest.ts';
import { onlyDump, type RoadOptions, type RoadResult, walkRoad } from '../lab/debian/road.ts';
import { type Server, startServer } from '../lab/debian/server.ts';
import { repository } from '../lab/images.ts';

/** Seconds for a road with all its waits, and for the server that serves them all. */
const deadline = 1400;
const serverDeadline = 7200;

const receiver = readFileSync(repository('ssh/kdump-receive'), 'utf8');
/** An account of its own for each road by ssh, so that none spoils another. */
const accounts = ['refuser', 'stranger', 'unplugged', 'resetter', 'receiver'];
const prepare = `
for name in ${accounts.join(' ')}; do
  id $name >/dev/null 2>&1 && continue
  useradd --create-home --shell /bin/sh --password '*' $name
  install -d -o $name -g $name -m 700 /home/$name/.ssh /srv/$name
  install -o $name -g $name -m 600 /home/kdump/.ssh/authorized_keys /home/$name/.ssh/authorized_keys
done
cat >/usr/local/bin/kdump-receive <<'RECEIVER'
${receiver}RECEIVER
sed -i 's#^restrict #command="sh /usr/local/bin/kdump-receive /srv/receiver",restrict #' /home/receiver/.ssh/authorized_keys
`;

vi.setConfig({ testTimeout: 1_500_000 });

let server: Server;
let scratch: string;
const roads: RoadResult[] = [];
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'kdump-faults-'));
  server = await startServer({ prepare, deadline: serverDeadline });
});
afterEach(async () => {
  await server.plug();
  await server.thaw();
});
afterAll(async () => {
  for (const road of roads) await road.remove();
  await server?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

/** A road with the server's network; the machine was armed on it, whatever became of the dump. */
async function walk(options: RoadOptions): Promise<RoadResult> {
  const road = await walkRoad({ deadline, network: server.network, ...options });
  roads.push(road);
  expect(road.said('enable')).toMatchObject({ status: 0 });
  return road;
}

const conf = (account: string, host = 'server'): string =>
  `ssh ${account}@${host}\nsshkey /root/.ssh/id_ed25519\npath /srv/${account}\n`;
/** Long enough to go wrong in its middle. */
const everything = 'core_collector makedumpfile -c -d 0\n';
const isUnderWay = /Copying data/;

/** A second target on a disk of its own, and the dump that it holds in the end. */
const ownDisk = { disks: [1536], prepare: 'mkfs.ext4 -q /dev/vdc' } as const;
async function onOwnDisk(road: RoadResult, account: string) {
  const copy = join(road.results, 'own');
  expect(await road.guest.read(0, `/srv/${account}`, copy)).toBe(true);
  const dump = onlyDump(copy);
  expect(verify([join(dump.path, 'vmcore')], () => {})).toMatchObject({ ok: true });
  return dump.report;
}
const secondTarget = 'fallback_target ext4 /dev/vdc\n';

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

/** What the client does in the end to see the files that the server has in dump directories of this account. */
const look = (account: string): string =>
  `ssh ${account}@server 'find /srv/${account} -type f' >/disk/results/there || finish "failed: no ssh"`;
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

describe('by ssh', () => {
  test('a receiver that only takes dumps has it, and the next boot knows', async () => {
    const road = await walk({ conf: conf('receiver') });
    const { dump, status, shown } = told(road);
    expect(dump).toMatchObject({
      state: 'complete',
      elsewhere: { place: expect.stringMatching(/^receiver@server:\/srv\/receiver\//), file: 'vmcore.flat' },
    });
    expect(status).toMatch(/ended in a crash: receiver@server:\/srv\/receiver\/\S+, complete/);
    expect(shown.report).toMatchObject({ state: 'complete', errors: [] });
  });

  test('a key that is refused: the second target has the dump', async () => {
    const road = await walk({
      conf: conf('refuser') + secondTarget,
      ...ownDisk,
      beforeCrash: 'ssh refuser@server ": >.ssh/authorized_keys"',
    });
    const report = await onOwnDisk(road, 'refuser');
    expect(report).toMatchObject({
      state: 'complete',
      targets: [
        { state: 'failed', error: { code: 'ssh', message: expect.stringContaining('Permission denied') } },
        { state: 'complete' },
      ],
    });
    const { dump, status } = told(road);
    expect(dump).toMatchObject({ state: 'complete' });
    expect(status).toMatch(/ended in a crash: .*, complete/);
  });

  test('a host that is not the one that was pinned gets nothing, and the next boot has the log', async () => {
    const road = await walk({
      conf: conf('stranger', 'elsewhere'),
      prepare: [
        'echo "10.77.0.1 elsewhere" >>/etc/hosts',
        'ssh-keygen -q -t ed25519 -N "" -f /tmp/other',
        'echo "elsewhere $(cut -d " " -f 1-2 /tmp/other.pub)" >>/root/.ssh/known_hosts',
      ].join('\n'),
      after: look('stranger'),
    });
    expect(filesThere(road)).toEqual([]);
    const { dump, status, shown } = told(road);
    expect(dump).toMatchObject({ state: 'failed', elsewhere: null, panic: expect.stringContaining('sysrq') });
    expect(status).toMatch(/ended in a crash: .*without a vmcore/);
    expect(shown.report.targets).toMatchObject([
      { state: 'failed', error: { code: 'ssh', message: expect.stringMatching(/verification failed/i) } },
    ]);
    expect(Object.keys(dump.files)).toEqual(
      expect.arrayContaining(['dump.json', 'kexec-dmesg.log', 'vmcore-dmesg.txt']),
    );
  });

  test('a server that goes in the middle of the dump: the account is at home', async () => {
    const road = await walk({
      conf: conf('unplugged') + everything,
      during: { says: isUnderWay, act: untilReboot(server.unplug, server.plug) },
      after: look('unplugged'),
    });
    expect(filesThere(road)).toEqual(['dump.json', 'vmcore-dmesg.txt', 'vmcore-incomplete']);
    const { dump, status, shown } = told(road);
    expect(dump).toMatchObject({ state: 'incomplete', elsewhere: { file: null } });
    expect(status).toMatch(/ended in a crash: unplugged@server:\S+, incomplete/);
    expect(shown.report.targets).toMatchObject([
      { state: 'incomplete', bytes: expect.any(Number), error: { step: 'collect', code: 'ssh' } },
    ]);
  });

  test('a server that is reset in the middle of the dump: the second target has it', async () => {
    const road = await walk({
      conf: conf('resetter') + everything + secondTarget,
      ...ownDisk,
      during: { says: isUnderWay, act: () => server.reset() },
      after: look('resetter'),
    });
    expect(filesThere(road)).not.toContain('vmcore.flat');
    const report = await onOwnDisk(road, 'resetter');
    expect(report.targets).toMatchObject([
      { state: 'incomplete', error: { step: 'collect', code: 'ssh' } },
      { state: 'complete', file: 'vmcore' },
    ]);
    expect(told(road).status).toMatch(/ended in a crash: .*, complete/);
  });
});

describe('by NFS', () => {
  const nfs = 'nfs server:/srv/nfs\n';

  test('a server that answers no more in the middle of the dump: the second target has it', async () => {
    const road = await walk({
      conf: `${nfs}path /srv/frozen\n${everything}${secondTarget}`,
      ...ownDisk,
      during: { says: isUnderWay, act: untilReboot(server.freeze, server.thaw) },
      after:
        'mkdir /tmp/nfs && mount server:/srv/nfs /tmp/nfs && find /tmp/nfs/srv -type f >/disk/results/there',
    });
    expect(filesThere(road)).not.toContain('vmcore');
    const report = await onOwnDisk(road, 'frozen');
    expect(report.targets).toMatchObject([
      { state: 'incomplete', error: { message: expect.stringMatching(/does not answer|no progress/) } },
      { state: 'complete', file: 'vmcore' },
    ]);
    expect(told(road).status).toMatch(/ended in a crash: .*, complete/);
  });

  test('a server that does not answer at all: no verb hangs, and the next boot has the log', async () => {
    const road = await walk({
      conf: `${nfs}path silent\n`,
      prepare:
        'mkdir -p /mnt/nfs && mount -t nfs -o hard server:/srv/nfs /mnt/nfs && mkdir -p /mnt/nfs/silent',
      whenArmed: () => server.freeze(),
      beforeCrash: 'ctl tried target test --timeout=60; ctl listed list',
      during: { says: /kdump: .*network is up/, act: untilReboot(async () => {}, server.thaw) },
    });
    expect(road.said('tried')).toMatchObject({ status: 1, text: expect.stringMatching(/does not work/) });
    expect(road.said('listed')).toMatchObject({ status: 0, text: expect.stringMatching(/does not answer/) });
    const { dump, status } = told(road);
    expect(dump).toMatchObject({ state: 'failed', elsewhere: null, panic: expect.stringContaining('sysrq') });
    expect(status).toMatch(/ended in a crash: .*without a vmcore/);
  });
});
