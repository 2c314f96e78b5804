import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import { accountsDirectory, allDumpPlaces, dumpPlaces } from '../../../src/kdump/dumps/places.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'kdump-places-'));
  for (const path of ['etc', 'dev', 'proc/self', 'mnt/disk/dumps', 'mnt/nfs/dumps', 'local'])
    mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'dev/sdb1'), '');
  symlinkSync('sdb1', join(root, 'dev/backup'));
  const mounts = ['8:17 / /mnt/disk rw - ext4 /dev/sdb1 rw', '0:50 / /mnt/nfs rw - nfs4 files:/export rw'];
  writeFileSync(
    join(root, 'proc/self/mountinfo'),
    mounts.map((line, id) => `${id + 20} 1 ${line}\n`).join(''),
  );
});
afterAll(() => rmSync(root, { recursive: true }));

const places = (...conf: string[]) => {
  writeFileSync(join(root, 'etc/kdump.conf'), `${conf.join('\n')}\n`);
  return dumpPlaces(readSettings(root).settings, root);
};

it('finds dumps where targets are mounted', () => {
  expect(
    places(
      'ext4 /dev/backup',
      'path /dumps',
      'fallback_target nfs files:/export',
      'fallback_target directory /local',
    ),
  ).toEqual([
    { target: 'ext4 /dev/backup', directory: join(root, 'mnt/disk/dumps') },
    { target: 'nfs files:/export', directory: join(root, 'mnt/nfs/dumps') },
    { target: 'directory /local', directory: join(root, 'local') },
  ]);
});

it('knows where accounts are, once there are any', () => {
  mkdirSync(join(root, accountsDirectory), { recursive: true });
  expect(places('path /local').slice(1)).toEqual([
    { target: accountsDirectory, directory: join(root, accountsDirectory) },
  ]);
  rmSync(join(root, accountsDirectory), { recursive: true });
});

it('does not look into what a server that is gone has exported', () => {
  expect(places('nfs files:/export', 'path /dumps')).toMatchObject([{ directory: expect.any(String) }]);
  const silent = dumpPlaces(readSettings(root).settings, root, () => false);
  expect(silent).toEqual([
    { target: 'nfs files:/export', directory: null, why: 'files:/export does not answer' },
  ]);
});

it('says why it finds none', () => {
  const why = (...conf: string[]) => places(...conf)[0];
  expect(why('ext4 /dev/sdz')).toMatchObject({ directory: null, why: '/dev/sdz is not there' });
  expect(why('nfs other:/export')).toMatchObject({ directory: null, why: 'other:/export is not mounted' });
  expect(why('nfs files:/export', 'path /none')).toMatchObject({ why: '/mnt/nfs/none does not exist' });
  expect(why('ssh kdump@vault')).toMatchObject({
    directory: null,
    why: 'its dumps are in /var/crash on vault',
  });
  expect(why('raw /dev/sdb1')).toMatchObject({ directory: null, why: '/var/crash does not exist' });
  expect(why('raw /dev/sdb1', 'path /local')).toMatchObject({ directory: join(root, 'local') });
  expect(why('virtiofs tag')).toMatchObject({ why: 'tag is not mounted' });
  expect(why('path /nowhere')).toMatchObject({ why: '/nowhere does not exist' });
});

it('asks a server once for several set-ups, of which each place counts once', () => {
  places('nfs files:/export', 'path /dumps');
  const now = readSettings(root).settings;
  places('nfs files:/export', 'path /dumps', 'fallback_target directory /local');
  const before = readSettings(root).settings;
  const asked: string[] = [];
  const found = allDumpPlaces([now, before], root, (mountPoint) => {
    asked.push(mountPoint);
    return false;
  });
  expect(asked).toEqual([join(root, 'mnt/nfs')]);
  expect(found.map(({ target }) => target).slice(0, 2)).toEqual(['nfs files:/export', 'directory /local']);
});
