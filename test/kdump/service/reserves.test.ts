import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { giveUpReserves, keepReserves } from '../../../src/kdump/service/reserves.ts';
import type { Saves } from '../../../src/kdump/service/state.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kdump-reserves-'));
  for (const path of ['/var/crash', '/old', '/var/lib/kdump/crashes'])
    mkdirSync(join(root, path), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const to = (...targets: readonly [Saves['targets'][number], ...Saves['targets'][number][]]): Saves => ({
  targets,
  path: '/var/crash',
  report: true,
});
const directory = (path: string) => ({ kind: 'directory', path }) as const;
const kept = (): string[] =>
  ['/var/crash', '/old', '/var/lib/kdump/crashes'].filter((path) =>
    existsSync(join(root, path, '.kdump-reserve')),
  );

test('there is room where dumps and accounts go now, and none where they went before', () => {
  expect(keepReserves([to(directory('/old'))], [], root)).toEqual([]);
  expect(kept()).toEqual(['/old', '/var/lib/kdump/crashes']);
  expect(keepReserves([to(directory('/var/crash'))], [to(directory('/old'))], root)).toEqual([]);
  expect(kept()).toEqual(['/var/crash', '/var/lib/kdump/crashes']);
  giveUpReserves([to(directory('/var/crash'))], root);
  expect(kept()).toEqual([]);
});

test('of other machines and of partitions nothing is kept', () => {
  const far = { kind: 'ssh', user: 'kdump', host: 'vault' } as const;
  expect(keepReserves([to(far, { kind: 'raw', device: '/dev/vdc' })], [], root)).toEqual([]);
  expect(kept()).toEqual(['/var/lib/kdump/crashes']);
});

test('a directory in which there is none is told', () => {
  mkdirSync(join(root, '/var/crash/.kdump-reserve'));
  expect(keepReserves([to(directory('/var/crash'))], [], root)).toEqual([
    expect.stringMatching(/\/var\/crash: EISDIR/),
  ]);
});
