import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBlockDevice } from '../../src/kdump/block-devices.ts';
import { temporary, write } from './image/fixture.ts';

const uuid = '0123abcd-4567-89ab-cdef-0123456789ab';
const { root, remove } = temporary();

beforeAll(() => {
  const xfs = Buffer.alloc(4096);
  xfs.write('XFSB');
  xfs.set(Buffer.from(uuid.replaceAll('-', ''), 'hex'), 32);
  xfs.write('dumps', 108);
  for (const name of ['sda', 'loop0', 'sdb']) write(join(root, 'sys/class/block', name, 'dev'), '');
  write(join(root, 'dev/sda'), Buffer.alloc(4096));
  write(join(root, 'dev/loop0'), xfs);
  write(join(root, 'dev/sdb'), xfs);
});
afterAll(remove);

describe('findBlockDevice', () => {
  it.each([
    ['/dev/sda', '/dev/sda'],
    ['/dev/sdc', undefined],
    [`UUID=${uuid}`, '/dev/sdb'],
    [`UUID=${uuid.toUpperCase()}`, '/dev/sdb'],
    ['UUID=0000', undefined],
    ['LABEL=dumps', '/dev/sdb'],
    ['LABEL=', undefined],
  ])('%s is %s', (specification, device) => expect(findBlockDevice(specification, root)).toBe(device));

  it('finds nothing where there is no /sys yet', () => {
    expect(findBlockDevice('LABEL=dumps', join(root, 'nowhere'))).toBeUndefined();
  });
});
