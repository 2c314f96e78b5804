import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readInterpreter } from '../../src/kdump/image/interpreter.ts';
import { koffiAddon, listSharedObjects } from '../../src/system/shared-objects.ts';

const loader = readInterpreter(process.execPath)!;

describe('listSharedObjects', () => {
  it('lists what node needs by the files the loader takes', () => {
    const { objects, missing } = listSharedObjects(loader, process.execPath);
    expect(objects.map(({ name }) => name)).toContain('libc.so.6');
    for (const { path } of objects.filter(({ name }) => name !== loader))
      expect(existsSync(path), path).toBe(true);
    expect(missing).toEqual([]);
  });

  it('adds libraries that are opened later, and names those that are not installed', () => {
    const { objects, missing } = listSharedObjects(loader, process.execPath, [
      'libresolv.so.2',
      'libkdump-not-there.so.9',
    ]);
    expect(objects.map(({ name }) => name)).toContain('libresolv.so.2');
    expect(missing).toEqual(['libkdump-not-there.so.9']);
  });

  it('refuses what is no program', () => {
    expect(() => listSharedObjects(loader, '/etc/passwd')).toThrow(
      expect.objectContaining({ code: 'shared-objects' }),
    );
  });
});

it('koffiAddon is a file', () => expect(existsSync(koffiAddon())).toBe(true));
