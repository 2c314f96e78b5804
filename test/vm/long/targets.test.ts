// More targets of the service on a real Debian.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verify } from '../../../src/dump/verify.ts';
import { onlyDump } from '../lab/debian/road.ts';
import { type Server, startServer } from '../lab/debian/server.ts';
import { roadWalker } from '../lab/debian/walker.ts';

const walk = roadWalker();

/** What a directory of the server holds. */
async function savedOnServer(server: Server, directory: string, into: string): Promise<string> {
  expect(await server.guest.read('root', directory, into)).toBe(true);
  return into;
}

/** What tells what happened, beside the dump and in its account. */
const reports = ['report.html', 'report.json'];
const toldStory = expect.stringContaining('somebody asked for it by sysrq');

const key = 'sshkey /root/.ssh/id_ed25519';

describe('on another machine', () => {
  let server: Server;
  let scratch: string;
  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'kdump-server-'));
    server = await startServer({ deadline: 1800 });
  });
  afterAll(async () => {
    await server?.remove();
    rmSync(scratch, { recursive: true, force: true });
  });

  test('a crash is saved by ssh', async () => {
    const road = await walk({
      conf: `ssh kdump@server\n${key}\npath /srv/ssh\n`,
      network: server.network,
    });
    expect(road.said('enable').status).toBe(0);
    // Dumps on the other side of a key are not looked for unasked.
    expect(JSON.parse(road.said('list').text).unseen).toHaveLength(1);
  });

  test('a crash is saved by NFS', async () => {
    const road = await walk({ conf: 'nfs server:/srv/nfs\npath crash\n', network: server.network });
    expect(road.said('enable').status).toBe(0);
  });

  test('a crash is saved by version 3 of NFS, as arguments for dracut ask for', async () => {
    const road = await walk({
      conf: 'dracut_args --mount "server:/srv/nfs /mnt nfs nfsvers=3"\npath crash3\n',
      network: server.network,
    });
    expect(road.said('enable').status).toBe(0);
    expect(road.log).toContain('mounted server:/srv/nfs (nfs 3)');
  });

  test('and all are whole there', async () => {
    await server.stop();
    for (const directory of ['crash', 'crash3']) {
      const nfs = onlyDump(await savedOnServer(server, `/srv/nfs/${directory}`, join(scratch, directory)));
      expect(nfs.report).toMatchObject({ state: 'complete', errors: [], summary: toldStory });
      expect(nfs.files).toEqual(expect.arrayContaining(reports));
      expect(verify([join(nfs.path, 'vmcore')], () => {})).toMatchObject({ ok: true });
    }
    const ssh = onlyDump(await savedOnServer(server, '/srv/ssh', join(scratch, 'ssh')));
    expect(ssh.report).toMatchObject({ state: 'complete', errors: [], summary: toldStory });
    expect(ssh.files).toEqual(expect.arrayContaining([...reports, 'vmcore.flat']));
    expect(verify([join(ssh.path, 'vmcore.flat')], () => {})).toMatchObject({ ok: true });
  });
});

describe('on a disk of its own', () => {
  test('a file system that is not mounted takes the dump', async () => {
    const road = await walk({
      disks: [512],
      prepare: 'mkfs.xfs -q -L DUMPS /dev/vdc && echo "LABEL=DUMPS /mnt/dumps xfs noauto 0 0" >>/etc/fstab',
      conf: 'xfs LABEL=DUMPS\npath /crash\n',
      after: 'mkdir -p /mnt/dumps && mount /mnt/dumps && cp -r /mnt/dumps/crash /disk/results/crash',
    });
    const { path, report } = onlyDump(join(road.results, 'crash'));
    expect(report).toMatchObject({ state: 'complete', errors: [] });
    expect(verify([join(path, 'vmcore')], () => {})).toMatchObject({ ok: true });
  });

  test('a raw partition takes the dump, and the next boot brings it home', async () => {
    const road = await walk({
      disks: [512],
      conf: 'raw /dev/vdc\npath /var/crash\n',
      deadline: 900,
      // The crash is a test, which has to be found on the partition as well.
      beforeCrash: 'kdumpctl test --force >/disk/results/test 2>&1; sync',
    });
    const copy = join(road.results, 'crash');
    expect(await road.guest.read('root', '/var/crash', copy)).toBe(true);
    const { path, files, report } = onlyDump(copy);
    expect(basename(path)).toMatch(/^kdump-test-\d+$/);
    expect(verify([join(path, 'vmcore')], () => {})).toMatchObject({ ok: true });
    expect(report).toMatchObject({ state: 'complete', summary: toldStory });
    expect(files).toEqual(expect.arrayContaining(reports));
    const { items } = JSON.parse(road.said('status-after-json').text);
    expect(items).toContainEqual({
      name: 'test',
      state: 'ok',
      actual: expect.stringContaining(`/var/crash/${basename(path)}`),
    });
  });
});
