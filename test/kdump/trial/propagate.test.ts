import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import { type PropagateDoors, propagate } from '../../../src/kdump/trial/propagate.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-propagate-'));
  writeFileSync(join(directory, 'known_hosts'), '');
});
afterEach(() => rmSync(directory, { recursive: true }));

const settings = (part: object = {}) => ({
  ...readSettings(directory).settings,
  targets: [{ kind: 'ssh', user: 'kdump', host: 'vault' }] as const,
  sshKey: join(directory, 'ssh/key'),
  ...part,
});
/** A machine on which everything works but what is named. */
function machine(failing = ''): { doors: PropagateDoors; done: string[] } {
  const done: string[] = [];
  const status = (line: string): number => {
    done.push(line);
    return failing !== '' && line.includes(failing) ? 1 : 0;
  };
  return {
    done,
    doors: {
      talk: (program, args) => status([program, ...args].join(' ')),
      run: (program, args) => ({
        status: status([program, ...args].join(' ')),
        stdout: Buffer.alloc(0),
        stderr: 'no',
      }),
      say: () => {},
      knownHosts: [join(directory, 'known_hosts')],
    },
  };
}

it('makes a key, has it accepted, and proves it', () => {
  const { doors, done } = machine();
  propagate(settings(), doors);
  expect(done[0]).toMatch(/^ssh-keygen -q -t ed25519 -N {2}-C kdump -f .*ssh\/key$/);
  expect(existsSync(join(directory, 'ssh'))).toBe(true);
  expect(done[1]).toMatch(/^ssh-copy-id -i .*key -o StrictHostKeyChecking=ask kdump@vault$/);
  expect(done[2]).toMatch(/^ssh-keygen -F vault -f .*known_hosts$/);
  expect(done[3]).toMatch(
    /^ssh .*BatchMode=yes .*StrictHostKeyChecking=yes .*known_hosts .* -- vault exec sh -c .* 'hello'$/s,
  );
});

it('keeps a key that is there', () => {
  const key = join(directory, 'key');
  writeFileSync(key, '');
  const { doors, done } = machine();
  propagate(settings({ sshKey: key }), doors);
  expect(done[0]).toMatch(/^ssh-copy-id/);
});

it('says what failed', () => {
  expect(() =>
    propagate(settings({ targets: [{ kind: 'raw', device: '/dev/x' }] }), machine().doors),
  ).toThrow(/nothing to propagate/);
  expect(() => propagate(settings(), machine('ed25519').doors)).toThrow(/cannot be made: no/);
  expect(() => propagate(settings(), machine('ssh-copy-id').doors)).toThrow(
    'kdump@vault did not accept the key',
  );
  expect(() => propagate(settings(), machine('hello').doors)).toThrow('still asks for more than the key: no');
  expect(() => propagate(settings(), machine('-F').doors)).toThrow('the key of vault is in none of');
});
