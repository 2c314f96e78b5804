// More targets of the service on a real Debian.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { verify } from '../../../src/dump/verify.ts';
import { onlyDump, type RoadResult, walkRoad } from '../lab/debian/road.ts';

const roads: RoadResult[] = [];
afterAll(async () => {
  for (const road of roads) await road.remove();
});
const walk: typeof walkRoad = async (options) => {
  const road = await walkRoad(options);
  roads.push(road);
  return road;
};

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
    const road = await walk({ disks: [512], conf: 'raw /dev/vdc\npath /var/crash\n' });
    const copy = join(road.results, 'crash');
    expect(await road.guest.read('root', '/var/crash', copy)).toBe(true);
    const [name] = readdirSync(copy);
    expect(verify([join(copy, name!, 'vmcore')], () => {})).toMatchObject({ ok: true });
  });
});
