// Images of every builder on a real Debian, and of our own for another kernel: built there by the service, crashed into,
// and what is there afterwards.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verify } from '../../../src/dump/verify.ts';
import { onlyDump } from '../lab/debian/road.ts';
import { roadWalker } from '../lab/debian/walker.ts';

/** Seconds, of which a slow guest takes most to build an image of dracut's. */
const deadline = 1200;
const walk = roadWalker({ deadline, memory: 2048 });

test.each([
  ['own', '6.12', /kdump: .* capture kernel is up/],
  ['dracut', '6.1', /kdump: .* capture begins/],
  ['initramfs-tools', '6.1', /kdump: .* capture begins/],
] as const)(
  'image_builder %s, kernel %s: a crash is saved on the root file system, and status tells the story',
  async (builder, kernel, said) => {
    const road = await walk({
      kernel,
      conf: `image_builder ${builder}\npath /var/crash\n`,
      prepare: 'mkdir -p /var/crash',
      beforeCrash: builder === 'dracut' ? 'lsinitrd /var/lib/kdump/images/*.img >/disk/results/content' : '',
    });
    expect(road.said('enable').status).toBe(0);
    expect(road.said('status')).toMatchObject({ status: 0 });
    expect(road.log).toMatch(said);
    if (builder === 'dracut') {
      const content = readFileSync(join(road.results, 'content'), 'utf8');
      // systemd runs the capture, and no hook of dracut's.
      expect(content).toMatch(/initrd\.target\.wants\/kdump-capture\.service/);
      expect(content).not.toMatch(/pre-pivot\/.*kdump-capture/);
      // Node comes in its squashfs, and only there.
      expect(content).toMatch(/ kdump\.squashfs$/m);
      expect(content).not.toMatch(/bin\/node$/m);
    }
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
  (deadline + 120) * 1000,
);
