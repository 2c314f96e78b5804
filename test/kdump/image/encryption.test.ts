import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkEncryption, encryptedVolumes, unlockBytes } from '../../../src/kdump/image/encryption.ts';
import { luksHeader } from '../../helpers/luks.ts';
import { temporary, write, writeSys } from './fixture.ts';

let root: string;
let remove: () => void;
beforeEach(() => {
  ({ root, remove } = temporary());
  // dm-1, an LVM volume, on dm-0, an open LUKS volume, on vda1.
  writeSys(root);
  write(join(root, 'sys/class/block/dm-0/dm/uuid'), 'CRYPT-LUKS2-0a1b2c3d-data\n');
  write(join(root, 'sys/class/block/dm-0/dm/name'), 'data\n');
  mkdirSync(join(root, 'sys/devices/virtual/block/dm-1/slaves/dm-0'), { recursive: true });
  symlinkSync('../../devices/virtual/block/dm-1', join(root, 'sys/class/block/dm-1'));
  write(join(root, 'sys/class/block/dm-1/dm/uuid'), 'LVM-xyz\n');
  for (const name of ['vda1', 'dm-0', 'dm-1']) write(join(root, 'dev', name), '');
  mkdirSync(join(root, 'dev/mapper'));
  symlinkSync('../dm-1', join(root, 'dev/mapper/vg-crash'));
});
afterEach(() => remove());

describe('encryptedVolumes', () => {
  it('finds a volume below whatever lies on it', () => {
    const data = { name: 'data', device: '/dev/vda1' };
    expect(encryptedVolumes('/dev/mapper/vg-crash', root)).toEqual([data]);
    expect(encryptedVolumes('/dev/dm-0', root)).toEqual([data]);
    expect(encryptedVolumes('/dev/vda1', root)).toEqual([]);
    expect(encryptedVolumes('/dev/none', root)).toEqual([]);
  });

  it('finds one that is closed', () => {
    write(join(root, 'dev/vda1'), luksHeader(2, 'x', {}));
    expect(encryptedVolumes('/dev/vda1', root)).toEqual([{ name: null, device: '/dev/vda1' }]);
  });
});

describe('a target on an encrypted volume', () => {
  const target = {
    kind: 'filesystem',
    device: '/dev/mapper/vg-crash',
    fstype: 'ext4',
    mountOptions: '',
  } as const;
  const check = (builder: 'own' | 'dracut') => checkEncryption(target, builder, root);
  const refusal = (message: RegExp, fix: RegExp) =>
    expect.objectContaining({
      code: 'target-encrypted',
      message: expect.stringMatching(message),
      fix: expect.stringMatching(fix),
    });

  it('is refused where somebody would have to type a passphrase', () => {
    const refused = refusal(
      /ext4 \/dev\/mapper\/vg-crash is encrypted \(data on \/dev\/vda1\).*passphrase/,
      /ssh, nfs\)\.$/,
    );
    expect(() => check('own')).toThrow(refused);
    expect(() => check('dracut')).toThrow(refused);
    write(join(root, 'etc/crypttab'), 'data UUID=0a none luks\nother UUID=0b /key luks\n');
    expect(() => check('dracut')).toThrow(refused);
  });

  it.each([
    ['data UUID=0a /etc/keys/data luks', '/etc/keys/data'],
    ['data\tUUID=0a - luks,tpm2-device=auto', 'tpm2-device=auto'],
  ])('may be opened by dracut with what crypttab names: %s', (line, key) => {
    write(join(root, 'etc/crypttab'), `# comment\n${line}\n`);
    expect(check('dracut')).toEqual([expect.stringContaining(`only if dracut brings ${key} into the image`)]);
    expect(() => check('own')).toThrow(refusal(/own builder, which brings no/, /image_builder dracut/));
  });

  it('is none for others', () => {
    expect(checkEncryption({ ...target, device: '/dev/vda1' }, 'own', root)).toEqual([]);
    expect(checkEncryption({ kind: 'ssh', user: 'u', host: 'h' }, 'own', root)).toEqual([]);
    expect(checkEncryption({ ...target, device: 'UUID=absent' }, 'own', root)).toEqual([]);
  });

  it('takes memory to be opened', () => {
    const metadata = { keyslots: { 0: { kdf: { type: 'argon2id', memory: 1024 } } } };
    write(join(root, 'dev/vda1'), luksHeader(2, 'x', metadata));
    expect(unlockBytes([target], root)).toBe((20 + 1) << 20);
    expect(unlockBytes([{ kind: 'ssh', user: 'u', host: 'h' }], root)).toBe(0);
  });
});
