import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finishDurably, incompleteName, writeFileDurably } from '../../src/system/durable.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-test-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('incompleteName', () => {
  it.each([
    ['vmcore', 'vmcore-incomplete'],
    ['/a.b/vmcore', '/a.b/vmcore-incomplete'],
    ['vmcore-dmesg.txt', 'vmcore-dmesg-incomplete.txt'],
    ['/x/dump.json', '/x/dump-incomplete.json'],
  ])('%s → %s', (name, expected) => expect(incompleteName(name)).toBe(expected));
});

describe('writeFileDurably', () => {
  it('leaves exactly the file, for its owner only, whatever the umask', () => {
    const before = process.umask(0);
    try {
      writeFileDurably(join(directory, 'a.txt'), [Buffer.from('one '), Buffer.from('two')]);
    } finally {
      process.umask(before);
    }
    expect(readdirSync(directory)).toEqual(['a.txt']);
    expect(readFileSync(join(directory, 'a.txt'), 'utf8')).toBe('one two');
    expect(statSync(join(directory, 'a.txt')).mode & 0o777).toBe(0o600);
  });

  it('keeps the old file when the new one cannot take its place', () => {
    mkdirSync(join(directory, 'taken', 'x'), { recursive: true });
    expect(() => writeFileDurably(join(directory, 'taken'), 'new')).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(readdirSync(directory)).toEqual(['taken']);
  });

  it('does not follow a link under the incomplete name', () => {
    writeFileSync(join(directory, 'victim'), 'old');
    symlinkSync('victim', join(directory, 'a-incomplete'));
    writeFileDurably(join(directory, 'a'), 'new');
    expect(readFileSync(join(directory, 'victim'), 'utf8')).toBe('old');
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('new');
  });
});

it('finishDurably gives the file its own name and permissions', () => {
  writeFileSync(join(directory, 'vmcore-incomplete'), 'x', { mode: 0o644 });
  finishDurably(join(directory, 'vmcore-incomplete'), join(directory, 'vmcore'));
  expect(readdirSync(directory)).toEqual(['vmcore']);
  expect(statSync(join(directory, 'vmcore')).mode & 0o777).toBe(0o600);
});
