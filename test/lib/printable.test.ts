import { expect, test } from 'vitest';
import { printable } from '../../src/lib/printable.ts';

test('control characters are shown, but for tabs and ends of lines', () => {
  expect(printable('a\x1b[2Jb\x9bc\td\n')).toBe('a\\x1b[2Jb\\x9bc\td\n');
});
