import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readLuksHeader } from '../../src/formats/luks.ts';
import { luksHeader } from '../helpers/luks.ts';

const uuid = '0a1b2c3d-0000-4000-8000-000000000000';

it('reads what a key of LUKS2 takes, of all slots the most', () => {
  const slots = {
    0: { kdf: { type: 'pbkdf2', iterations: 1000 } },
    1: { kdf: { type: 'argon2id', memory: 1048576 } },
    2: { kdf: { type: 'argon2i', memory: 65536 } },
  };
  expect(readLuksHeader(luksHeader(2, uuid, { keyslots: slots }))).toEqual({
    version: 2,
    uuid,
    keyMemory: 2 ** 30,
  });
  expect(readLuksHeader(luksHeader(2, uuid, { keyslots: {} }))?.keyMemory).toBe(0);
  expect(readLuksHeader(luksHeader(2, uuid, 'no json'))?.keyMemory).toBe(0);
});

it('knows LUKS1, which has no Argon2', () => {
  expect(readLuksHeader(luksHeader(1, uuid, ''))).toEqual({ version: 1, uuid, keyMemory: 0 });
});

it('takes anything else for what it is', () => {
  expect(readLuksHeader(new Uint8Array(0))).toBeUndefined();
  expect(readLuksHeader(luksHeader(2, uuid, {}).subarray(0, 512))).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 5000, maxLength: 6000 }), (bytes) => {
      expect(readLuksHeader(bytes)).toBeUndefined();
      // Damaged behind its magic: no matter what, but never a throw.
      bytes.set(luksHeader(2, uuid, {}).subarray(0, 8));
      expect(readLuksHeader(bytes)?.version).toBe(2);
    }),
  );
});
