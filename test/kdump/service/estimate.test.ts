import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import { type EstimateFacts, estimate, measuredNeed } from '../../../src/kdump/service/estimate.ts';
import { dumpLevel } from '../../../src/kdump/service/expected-dump.ts';
import { errorOf } from '../../kexec/fixtures.ts';

const MIB = 2 ** 20;
/** The cloud kernel and image for which crashkernel=160M is enough, and 136M the least that ever worked. */
const cloud: EstimateFacts = {
  reserved: 192 * MIB,
  table: 0,
  kernel: 52 * MIB,
  image: 33 * MIB,
  unpacked: 35 * MIB,
  modules: [{ path: '/modules/000-ext4.ko', bytes: 1 * MIB }],
  unlock: 0,
  cpus: 1,
  measured: null,
};

describe('estimate', () => {
  test('comes to what is known to work', () => {
    const { needed, recommended, warnings } = estimate(cloud);
    expect(needed / MIB).toBeGreaterThanOrEqual(136);
    expect(needed / MIB).toBeLessThanOrEqual(160);
    expect(recommended).toBe(160 * MIB);
    expect(warnings).toEqual([]);
  });

  test('warns of a reservation that is too small', () => {
    expect(estimate({ ...cloud, reserved: 128 * MIB }).warnings).toEqual([
      '128 MiB are reserved, but a capture is likely to need 160 MiB: set crashkernel=160M',
    ]);
  });

  test('counts the memory of Argon2, which is over before the dump is written', () => {
    const { needed } = estimate(cloud);
    const opened = estimate({ ...cloud, unlock: 1044 * MIB });
    expect(opened.needed - needed).toBe((1044 - 56) * MIB);
    expect(opened.items.map(({ name }) => name)).toContain('Opening of LUKS volumes');
    expect(estimate({ ...cloud, unlock: 20 * MIB }).needed).toBe(needed);
  });

  test('believes what was measured when that is more', () => {
    const { recommended, warnings } = estimate({ ...cloud, measured: 200 * MIB });
    expect(recommended).toBe(208 * MIB);
    expect(warnings).toHaveLength(1);
  });

  test('never recommends less than the table, nor than it needs', () => {
    const size = fc.integer({ min: 0, max: 2048 }).map((mib) => mib * MIB);
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        fc.integer({ min: 1, max: 64 }),
        (table, kernel, image, unpacked, cpus) => {
          const { needed, recommended, items } = estimate({ ...cloud, table, kernel, image, unpacked, cpus });
          expect(recommended).toBeGreaterThanOrEqual(Math.max(table, needed));
          expect(recommended % (16 * MIB)).toBe(0);
          expect(needed).toBeLessThanOrEqual(items.reduce((sum, { bytes }) => sum + bytes, 0));
        },
      ),
    );
  });

  test('names large modules', () => {
    const modules = [
      { path: 'small.ko', bytes: MIB },
      { path: 'large.ko', bytes: 5 * MIB },
      { path: 'larger.ko', bytes: 9 * MIB },
    ];
    expect(estimate({ ...cloud, modules }).largeModules.map(({ path }) => path)).toEqual([
      'larger.ko',
      'large.ko',
    ]);
  });
});

test('what a capture has taken is what it was given, less what was left', () => {
  const memory = { nodePeakKiB: 1, totalKiB: 100_000, lowestAvailableKiB: 65536, systemRamBytes: 192 * MIB };
  expect(measuredNeed({ memory })).toBe(128 * MIB);
  expect(measuredNeed({ memory: { ...memory, systemRamBytes: null } })).toBeNull();
  expect(measuredNeed({})).toBeNull();
  expect(measuredNeed(null)).toBeNull();
});

test('the dump level of a collector', () => {
  expect(dumpLevel(readSettings('/nowhere').settings.collector)).toBe(31);
  expect(dumpLevel('makedumpfile -F -ld17'.split(' '))).toBe(17);
  expect(dumpLevel('makedumpfile -c -d 31,1'.split(' '))).toBe(31);
  expect(dumpLevel(['makedumpfile', '-c'])).toBe(0);
  expect(dumpLevel(['cp'])).toBe(0);
  expect(errorOf(() => dumpLevel(['makedumpfile', '--nonsense'])).message).toMatch(/nonsense/);
});
