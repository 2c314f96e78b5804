import { expect, test } from 'vitest';
import { describeFinding } from '../../../src/kdump/config/finding.ts';

test('says where, what and what to do, fit for a terminal', () => {
  const finding = {
    severity: 'error',
    code: 'directive-unknown',
    file: '/etc/kdump.conf',
    line: 4,
    column: 2,
    message: '"\x1b[2J" is no directive.',
    fix: 'Remove the line.',
  } as const;
  expect(describeFinding(finding)).toBe(
    '/etc/kdump.conf:4:2: error: "\\x1b[2J" is no directive.\n  Remove the line.',
  );
  expect(describeFinding({ ...finding, line: 0, column: 0 })).toMatch(/^\/etc\/kdump\.conf: error: /);
});
