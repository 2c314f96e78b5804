import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listInterfacesUp } from '../../src/system/network-interfaces.ts';

// Setting one up or down is for guests: a test that did it here would cut this machine off.
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'interfaces-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function put(name: string, ifindex: number, flags: string): void {
  const directory = join(root, 'sys/class/net', name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'ifindex'), `${ifindex}\n`);
  writeFileSync(join(directory, 'flags'), `${flags}\n`);
}

test('those that are up, in the order in which they were made, without the loopback', () => {
  expect(listInterfacesUp(root)).toEqual([]);
  put('lo', 1, '0x9');
  put('vlan7', 10, '0x1003');
  put('eth1', 3, '0x1002');
  put('eth0', 2, '0x1003');
  // A file of the bonding driver that is no interface.
  writeFileSync(join(root, 'sys/class/net/bonding_masters'), '\n');
  expect(listInterfacesUp(root)).toEqual(['eth0', 'vlan7']);
});
