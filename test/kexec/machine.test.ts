import { describe, expect, test } from 'vitest';
import { crashMemory, describeLoaded, readMachine } from '../../src/kexec/machine.ts';
import { fixtureRoot, machineOf } from './fixtures.ts';

describe('readMachine', () => {
  test.each(['vm-512m', 'server-24g', 'server-24g-high'])('%s', async (name) => {
    const json = `${JSON.stringify(machineOf(name), null, 2)}\n`;
    await expect(json).toMatchFileSnapshot(`${fixtureRoot(name)}/machine.golden`);
  });
  test('a root that is not there is an error, not a machine without facts', () => {
    expect(() => readMachine(`${fixtureRoot('vm-512m')}/nowhere`)).toThrow(/no such directory/);
    expect(() => readMachine(`${fixtureRoot('vm-512m')}/proc/iomem`)).toThrow(/no such directory/);
  });
});

describe('crashMemory', () => {
  const machine = machineOf('server-24g-high');
  test('is the highest range, in whatever order they are listed', () => {
    const expected = { start: 0x62f000000, end: 0x63effffff, size: 256 * 1024 * 1024, source: '/proc/iomem' };
    expect(crashMemory(machine)).toEqual(expected);
    const regions = machine.crash.regions.toReversed();
    expect(crashMemory({ ...machine, crash: { ...machine.crash, regions } })).toEqual(expected);
  });
  test('is its bare size where addresses are hidden', () => {
    const crash = { ...machine.crash, regions: [], addressesHidden: true, size: 4096 };
    expect(crashMemory({ ...machine, crash })).toEqual({
      start: null,
      end: null,
      size: 4096,
      source: 'kexec_crash_size',
    });
  });
  test('is null when nothing is reserved', () => {
    expect(crashMemory(machineOf('server-24g'))).toBeNull();
    expect(crashMemory({ ...machine, crash: { ...machine.crash, regions: [], size: null } })).toBeNull();
  });
});

test('what is loaded, in words', () => {
  expect(describeLoaded('crash', true)).toMatch(/is armed/);
  expect(describeLoaded('crash', false)).toMatch(/NOT armed/);
  expect(describeLoaded('normal', true)).toMatch(/^an image for the next kexec reboot is loaded/);
  expect(describeLoaded('normal', false)).toMatch(/^no image/);
  expect(describeLoaded('crash', null)).toMatch(/cannot be read/);
});
