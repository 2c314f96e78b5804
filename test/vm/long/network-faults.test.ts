// What goes wrong on the way to another machine: the capture ends in a reboot, with all saved that could be saved, and the
// next boot says what happened.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verify } from '../../../src/dump/verify.ts';
import { onlyDump, type RoadOptions, type RoadResult, walkRoad } from '../lab/debian/road.ts';
import { type Server, startServer } from '../lab/debian/server.ts';
import { repository } from '../lab/images.ts';

/** Seconds for a road with all its waits, and for the server that serves them all. */
const deadline = 880;
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

let server: Server;
let scratch: string;
const roads: RoadResult[] = [];
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'kdump-faults-'));
  server = await startServer({ prepare, deadline: serverDeadline });
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

/** A second target on a disk of its own, and what it holds in the end. */
const ownDisk = {
  disks: [1536],
  prepare: 'mkfs.ext4 -q /dev/vdc',
  after: 'mount /dev/vdc /mnt && cp -r /mnt/srv /disk/results/own',
} as const;
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

/** Names of the files in the only dump directory below one on the server, which has to be off by then. */
async function filesOnServer(directory: string): Promise<string[]> {
  const copy = join(scratch, directory.replaceAll('/', '_'));
  expect(await server.guest.read('root', directory, copy)).toBe(true);
  const names = readdirSync(copy);
  expect(names).toHaveLength(1);
  return readdirSync(join(copy, names[0]!)).sort();
}

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
    const { path, report } = onlyDump(join(road.results, 'own/refuser'));
    expect(report).toMatchObject({
      state: 'complete',
      targets: [
        { state: 'failed', error: { code: 'ssh', message: expect.stringContaining('Permission denied') } },
        { state: 'complete' },
      ],
    });
    expect(verify([join(path, 'vmcore')], () => {})).toMatchObject({ ok: true });
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
    });
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
      during: { says: isUnderWay, act: () => server.unplug() },
    });
    await server.plug();
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
    });
    const { path, report } = onlyDump(join(road.results, 'own/resetter'));
    expect(report.targets).toMatchObject([
      { state: 'incomplete', error: { step: 'collect', code: 'ssh' } },
      { state: 'complete', file: 'vmcore' },
    ]);
    expect(verify([join(path, 'vmcore')], () => {})).toMatchObject({ ok: true });
    expect(told(road).status).toMatch(/ended in a crash: .*, complete/);
  });
});

describe('by NFS', () => {
  const nfs = 'nfs server:/srv/nfs\n';

  test('a server that answers no more in the middle of the dump: the second target has it', async () => {
    const road = await walk({
      conf: `${nfs}path /srv/frozen\n${everything}${secondTarget}`,
      ...ownDisk,
      during: { says: isUnderWay, act: () => server.freeze() },
    });
    await server.thaw();
    const { path, report } = onlyDump(join(road.results, 'own/frozen'));
    expect(report.targets).toMatchObject([
      { state: 'incomplete', error: { message: expect.stringMatching(/does not answer|no progress/) } },
      { state: 'complete', file: 'vmcore' },
    ]);
    expect(verify([join(path, 'vmcore')], () => {})).toMatchObject({ ok: true });
    expect(told(road).status).toMatch(/ended in a crash: .*, complete/);
  });

  test('a server that does not answer at all: no verb hangs, and the next boot has the log', async () => {
    const road = await walk({
      conf: `${nfs}path silent\n`,
      prepare:
        'mkdir -p /mnt/nfs && mount -t nfs -o hard server:/srv/nfs /mnt/nfs && mkdir -p /mnt/nfs/silent',
      whenArmed: () => server.freeze(),
      beforeCrash: 'ctl tried target test --timeout=60; ctl listed list',
    });
    await server.thaw();
    expect(road.said('tried')).toMatchObject({ status: 1, text: expect.stringMatching(/does not work/) });
    expect(road.said('listed')).toMatchObject({ status: 0, text: expect.stringMatching(/does not answer/) });
    const { dump, status } = told(road);
    expect(dump).toMatchObject({ state: 'failed', elsewhere: null, panic: expect.stringContaining('sysrq') });
    expect(status).toMatch(/ended in a crash: .*without a vmcore/);
  });
});

test('what the server has bears the names that it deserves', async () => {
  await server.stop();
  const whole = ['dump.json', 'kexec-dmesg.log', 'vmcore-dmesg.txt', 'vmcore.flat'];
  expect(await filesOnServer('/srv/receiver')).toEqual(whole);
  expect(await filesOnServer('/srv/unplugged')).toEqual(expect.arrayContaining(['vmcore-incomplete']));
  for (const cut of ['/srv/unplugged', '/srv/resetter'])
    expect(await filesOnServer(cut)).not.toContain('vmcore.flat');
  expect(await filesOnServer('/srv/nfs/srv/frozen')).not.toContain('vmcore');
  for (const untouched of ['/srv/refuser', '/srv/stranger']) {
    const copy = join(scratch, untouched.replaceAll('/', '_'));
    await server.guest.read('root', untouched, copy);
    expect(readdirSync(copy)).toEqual([]);
  }
});
