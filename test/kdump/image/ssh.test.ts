import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectSsh } from '../../../src/kdump/image/ssh.ts';
import { temporary, write } from './fixture.ts';

const { root, remove } = temporary();
const key = join(root, 'key');
const hosts = join(root, 'known_hosts');
const hashed = join(root, 'hashed');
const target = { kind: 'ssh', user: 'dumps', host: 'dump-server.invalid' } as const;
const keygen = (...args: string[]) => spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', ...args]);

describe.runIf(spawnSync('which', ['ssh-keygen']).status === 0)('collectSsh', () => {
  beforeAll(() => {
    keygen('-N', '', '-f', key);
    keygen('-N', 'secret', '-f', join(root, 'locked'));
    const hostKey = readFileSync(`${key}.pub`, 'utf8');
    write(hosts, `other.invalid ${hostKey}${target.host} ${hostKey}`);
    write(hashed, `${target.host} ${hostKey}`);
    spawnSync('ssh-keygen', ['-H', '-f', hashed]);
  });
  afterAll(remove);

  it('takes the key and the lines of this host, and nothing of others', () => {
    const kit = collectSsh([target], key, false, [hosts, join(root, 'none')]);
    expect(kit.files.map(({ path, mode }) => [path, mode])).toEqual([
      ['/etc/kdump/ssh/key', 0o600],
      ['/etc/kdump/ssh/known_hosts', 0o600],
    ]);
    const known = Buffer.from((kit.files[1] as { data: Uint8Array }).data).toString();
    expect(known).toContain(target.host);
    expect(known).not.toContain('other.invalid');
    expect(kit.programs).toEqual([expect.stringMatching(/\/ssh$/)]);
    expect(kit.sources).toEqual([key, hosts]);
  });

  it('finds hosts whose names are hashed, and scp where it is asked for', () => {
    const kit = collectSsh([target], key, true, [hashed]);
    expect(Buffer.from((kit.files[1] as { data: Uint8Array }).data).toString()).toMatch(/^\|1\|/);
    expect(kit.programs).toEqual([expect.stringMatching(/\/ssh$/), expect.stringMatching(/\/scp$/)]);
  });

  it.each([
    ['a host whose key is not known', key, [join(root, 'none')], 'unknown-host-key'],
    ['a key that is not there', join(root, 'nokey'), [hosts], 'no-ssh-key'],
    ['a key with a passphrase', join(root, 'locked'), [hosts], 'ssh-key-unusable'],
  ])('refuses %s and says what to run', (_, path, files, code) => {
    expect(() => collectSsh([target], path, false, files)).toThrow(
      expect.objectContaining({ code, fix: expect.stringContaining('kdumpctl propagate') }),
    );
  });

  it('refuses a key that others can read, and a host that is only revoked', () => {
    write(join(root, 'revoked'), `@revoked ${target.host} ${readFileSync(`${key}.pub`, 'utf8')}`);
    expect(() => collectSsh([target], key, false, [join(root, 'revoked')])).toThrow(/host key/);
    chmodSync(key, 0o644);
    expect(() => collectSsh([target], key, false, [hosts])).toThrow(/read by others/);
  });
});
