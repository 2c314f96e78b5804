import { describe, expect, it } from 'vitest';
import { findPanicLine } from '../../../src/kdump/capture/report.ts';

describe('findPanicLine', () => {
  it.each([
    [
      '[ 1.0] a\n[ 2.0][ T1] Kernel panic - not syncing: Fatal exception\n[ 2.1] ---[ end Kernel panic - not syncing: Fatal exception ]---\n',
      'Kernel panic - not syncing: Fatal exception',
    ],
    ['[ 1.0] BUG: kernel NULL pointer dereference, address: 0\n[ 1.1] Oops: 0002 [#1]\n', 'Oops: 0002 [#1]'],
    ['[ 1.0] all is well\n', null],
    ['', null],
  ])('%#', (dmesg, line) => expect(findPanicLine(dmesg)).toBe(line));
});
