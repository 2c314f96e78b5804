import { expect, it } from 'vitest';
import { readNetworkFacts, resolveHost } from '../../../src/kdump/network/facts.ts';
import { planNetwork } from '../../../src/kdump/network/plan.ts';

it('takes an address as it is, and a name by the rules of this machine', () => {
  expect(resolveHost('192.0.2.7')).toBe('192.0.2.7');
  expect(resolveHost('2001:db8::7')).toBe('2001:db8::7');
  expect(resolveHost('localhost')).toMatch(/^(127\.0\.0\.1|::1)$/);
  expect(() => resolveHost('no-such-host.invalid')).toThrow(
    expect.objectContaining({ code: 'host-unknown' }),
  );
  // A name is never an option.
  expect(() => resolveHost('--help')).toThrow(expect.objectContaining({ code: 'host-unknown' }));
});

it('reads links and routes of this machine, and knows that this machine is no target', () => {
  const facts = readNetworkFacts(['127.0.0.1', '[127.0.0.1]']);
  expect(facts.remotes).toEqual([
    { name: '127.0.0.1', address: '127.0.0.1', route: expect.objectContaining({ dev: 'lo' }) },
  ]);
  expect(facts.links).toContainEqual(expect.objectContaining({ ifname: 'lo' }));
  expect(facts.drivers.lo).toEqual([]);
  expect(() => planNetwork(facts)).toThrow(expect.objectContaining({ code: 'host-is-local' }));
});
