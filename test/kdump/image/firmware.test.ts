import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { firmwareOf } from '../../../src/kdump/image/firmware.ts';
import { temporary, write } from './fixture.ts';

const { root, remove } = temporary();
afterAll(remove);

it('finds what a module asks for, compressed or not, and nothing outside', () => {
  write(join(root, 'lib/firmware/nic/a.bin'), '');
  write(join(root, 'lib/firmware/nic/b.bin.zst'), '');
  write(join(root, 'secret'), '');
  const names = ['nic/a.bin', 'nic/b.bin', 'nic/none.bin', '../../secret', 'nic/*.bin', 'nic/a.bin'];
  const module = Buffer.from(`\0license=GPL\0${names.map((name) => `firmware=${name}\0`).join('')}`);
  expect(firmwareOf(module, root)).toEqual([
    { path: '/lib/firmware/nic/a.bin', source: join(root, 'lib/firmware/nic/a.bin') },
    { path: '/lib/firmware/nic/b.bin.zst', source: join(root, 'lib/firmware/nic/b.bin.zst') },
  ]);
  expect(firmwareOf(new Uint8Array(64), root)).toEqual([]);
});
