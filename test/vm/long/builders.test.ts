// Images of every builder on a real Debian, and of our own for another kernel: built there by the service, crashed into,
// and what is there afterwards.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { verify } from '../../../src/dump/verify.ts';
import { onlyDump, type RoadResult, walkRoad } from '../lab/debian/road.ts';

const roads: RoadResult[] = [];
afterAll(async () => {
  for (const road of roads) await road.remove();
});

test.each([
  ['own', '6.12', /kdump: .* capture kernel is up/],
  // systemd runs dracut's initramfs, and the capture in it.
  ['dracut', '6.1', /Starting .*Save the memory of the crashed kernel/],
  ['initramfs-tools', '6.1', /kdump: .* capture begins/],
] as const)(
  'image_builder %s, kernel %s: a crash is saved on the root file system, and status tells the story',
  async (builder, kernel, sign) => {
    const road = await walkRoad({
      kernel,
      conf: `image_builder ${builder}\npath /var/crash\n`,
      prepare: 'mkdir -p /var/crash',
      beforeCrash: builder === 'dracut' ? 'lsinitrd /var/lib/kdump/images/*.img >/disk/results/content' : '',
      // The other builders take minutes in a guest.
      deadline: 840,
      memory: 2048,
    });
    roads.push(road);
    expect(road.said('enable').status).toBe(0);
    expect(road.said('status')).toMatchObject({ status: 0 });
    expect(road.log).toMatch(sign);
    // Node comes in its squashfs, and only there.
    if (builder === 'dracut')
      expect(readFileSync(join(road.results, 'content'), 'utf8')).not.toMatch(/bin\/node$/m);
    const copy = join(road.results, 'crash');
    expect(await road.guest.read('root', '/var/crash', copy)).toBe(true);
    const { path, files, report } = onlyDump(copy);
    expect(report).toMatchObject({ state: 'complete', errors: [] });
    expect(files).toEqual(
      expect.arrayContaining(['dump.json', 'kexec-dmesg.log', 'vmcore', 'vmcore-dmesg.txt']),
    );
    expect(verify([join(path, 'vmcore')], () => {})).toMatchObject({ ok: true });
    expect(road.said('status-after')).toMatchObject({
      status: 0,
      text: expect.stringMatching(/ended in a crash/),
    });
    expect(JSON.parse(road.said('list').text).dumps).toHaveLength(1);
  },
);
