import { expect, test } from 'vitest';
import { Kernel } from '../../src/kernel/kernel.ts';
import { fakeCore, words } from '../helpers/kernel.ts';

test('what was read of a kernel that runs is kept until it is to be forgotten', () => {
  const mask = words(1);
  const kernel = new Kernel(
    fakeCore({
      pieces: [{ vaddr: 0xffff_0000_0000_0000n, bytes: mask }],
      symbols: { __cpu_possible_mask: 0xffff_0000_0000_0000n, __cpu_online_mask: 0xffff_0000_0000_0000n },
    }),
    {},
  );
  const cpus = (): number[] => kernel.cpus.map(({ cpu }) => cpu);
  expect(cpus()).toEqual([0]);
  mask[0] = 3;
  expect(cpus()).toEqual([0]);
  kernel.forget();
  expect(cpus()).toEqual([0, 1]);
});
