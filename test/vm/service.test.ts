// The service on a real Debian: package installed, `systemctl enable --now kdump`, crash, reboot, and what is there then.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verify } from '../../src/dump/verify.ts';
import { onlyDump } from './lab/debian/road.ts';
import { roadWalker } from './lab/debian/walker.ts';

const walk = roadWalker();

describe('with nothing but the defaults', () => {
  test('a crash is saved below /var/crash, and status tells the story', async () => {
    const road = await walk({});
    expect(road.said('enable').status).toBe(0);
    expect(road.said('status')).toMatchObject({
      status: 0,
      text: expect.stringMatching(/^kdump: Kdump is operational/),
    });
    const copy = join(road.results, 'crash');
    expect(await road.guest.read('root', '/var/crash', copy)).toBe(true);
    const { path, files, report } = onlyDump(copy);
    expect(report).toMatchObject({ state: 'complete', errors: [] });
    expect(files).toEqual(
      expect.arrayContaining([
        ...['dump.json', 'kexec-dmesg.log', 'report.html', 'report.json', 'vmcore', 'vmcore-dmesg.txt'],
      ]),
    );
    expect(verify([join(path, 'vmcore')], () => {})).toMatchObject({ ok: true });
    expect(road.said('status-after')).toMatchObject({
      status: 0,
      text: expect.stringMatching(
        /ended in a crash: .*complete\. The kernel .* somebody asked for it by sysrq/,
      ),
    });
    expect(JSON.parse(road.said('list').text).dumps).toHaveLength(1);
    // It was a crash like any other, and proves as much as a test.
    expect(JSON.parse(road.said('status-after-json').text)).toMatchObject({ untestedSince: null });
  });
});
