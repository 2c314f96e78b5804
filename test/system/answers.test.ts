import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { answersWithin } from '../../src/system/answers.ts';

let directory: string;
let path: string | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-test-'));
  path = process.env.PATH;
  process.env.PATH = `${directory}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(directory, { recursive: true });
});

it('tells a file system that answers, be it with an error, from one that does not', () => {
  expect(answersWithin(directory, 30)).toBe(true);
  expect(answersWithin(join(directory, 'none'), 30)).toBe(true);
  writeFileSync(join(directory, 'stat'), '#!/bin/sh\nexec sleep 1000\n');
  chmodSync(join(directory, 'stat'), 0o755);
  expect(answersWithin(directory, 0.2)).toBe(false);
});
