import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { readPageSize } from '../../src/system/page-size.ts';

test('the size of a page is what the system says', () => {
  expect(readPageSize()).toBe(Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })));
  expect(readPageSize('/nowhere')).toBe(4096);
});
