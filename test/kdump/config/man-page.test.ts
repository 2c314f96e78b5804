import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { commandManPage } from '../../../src/cli/kdumpctl/man-page.ts';
import { configManPage } from '../../../src/kdump/config/man-page.ts';

it.each([
  ['kdump.conf.5', configManPage],
  ['kdumpctl.8', commandManPage],
])('man/%s is what the tables say; if not: node scripts/man.mjs', (name, page) => {
  const path = fileURLToPath(new URL(`../../../man/${name}`, import.meta.url));
  expect(readFileSync(path, 'utf8')).toBe(page());
});
