import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CpioEntry, parentDirectories, readCpio, writeCpio } from '../../src/formats/cpio.ts';

const archive = (entries: readonly CpioEntry[]): Buffer => Buffer.concat(writeCpio(entries));
const hasCpio = spawnSync('cpio', ['--version']).status === 0;

const name = fc.stringMatching(/^[a-zA-Z0-9._-]{1,12}$/).filter((text) => !/^\.+$/.test(text));
const mode = fc.integer({ min: 0, max: 0o7777 });
const device = fc.constantFrom<'character-device' | 'block-device'>('character-device', 'block-device');
const leaf = fc.oneof(
  fc.record({
    type: fc.constant('file' as const),
    path: name,
    mode,
    data: fc.uint8Array({ maxLength: 200 }),
  }),
  fc.record({ type: fc.constant('symlink' as const), path: name, target: name }),
  fc.record({ type: device, path: name, mode, major: fc.nat(4095), minor: fc.nat(0xfffff) }),
);
/** A directory with some leaves in it, and some at the root. */
const tree = fc
  .record({ directory: name, mode, inside: fc.array(leaf), outside: fc.array(leaf) })
  .map((parts): CpioEntry[] => {
    const all: CpioEntry[] = [
      { type: 'directory', path: parts.directory, mode: parts.mode },
      ...parts.inside.map((entry) => ({ ...entry, path: `${parts.directory}/${entry.path}` })),
      ...parts.outside,
    ];
    return all.filter((entry, index) => all.findIndex(({ path }) => path === entry.path) === index);
  });

const plain = (entry: CpioEntry): object =>
  'data' in entry ? { ...entry, data: [...entry.data] } : { ...entry };

describe('cpio', () => {
  it('reads back what it wrote, with every header and all data at a multiple of four', () => {
    fc.assert(
      fc.property(tree, (entries) => {
        const bytes = archive(entries);
        expect(bytes.length % 4).toBe(0);
        const read = readCpio(bytes);
        expect(read.entries.map(plain)).toEqual(entries.map(plain));
        expect(read.end).toBe(bytes.length);
      }),
    );
  });

  it('writes the fields of a header where the kernel reads them', () => {
    const text = archive([{ type: 'file', path: '/a', mode: 0o640, data: Buffer.from('hello') }]).toString(
      'latin1',
    );
    expect(text.slice(0, 110)).toBe(
      `070701${['1', '81a0', '0', '0', '1', '0', '5', '0', '0', '0', '0', '2', '0'].map((v) => v.padStart(8, '0')).join('')}`,
    );
    expect(text.slice(110, 112)).toBe('a\0');
    expect(text.slice(112, 120)).toBe('hello\0\0\0');
    expect(text.slice(120 + 110)).toBe('TRAILER!!!\0\0\0\0');
  });

  it('reads archives that follow one another', () => {
    const first = archive([{ type: 'directory', path: 'x', mode: 0o755 }]);
    const both = Buffer.concat([first, archive([{ type: 'symlink', path: 'y', target: 'x' }])]);
    expect(readCpio(both).end).toBe(first.length);
    expect(readCpio(both, first.length).entries).toEqual([{ type: 'symlink', path: 'y', target: 'x' }]);
  });

  it('names the directories that must stand first, outermost first', () => {
    expect(parentDirectories(['/run/kdump/x', 'bin/sh', 'run/y', 'init'])).toEqual([
      'bin',
      'run',
      'run/kdump',
    ]);
  });

  it.each([
    ['a missing parent', [{ type: 'symlink', path: 'a/b', target: 'c' }], /no directory a stands before it/],
    [
      'a repeated path',
      [
        { type: 'symlink', path: 'b', target: 'c' },
        { type: 'symlink', path: '/b', target: 'd' },
      ],
      /stands twice/,
    ],
    ['an empty path', [{ type: 'symlink', path: '/', target: 'c' }], /cannot be a name/],
    ['a name like the trailer', [{ type: 'symlink', path: 'TRAILER!!!', target: 'c' }], /cannot be a name/],
    ['a long path', [{ type: 'symlink', path: 'b'.repeat(4096), target: 'c' }], /too long/],
    [
      'a device number beyond 32 bits',
      [{ type: 'block-device', path: 'b', mode: 0, major: 2 ** 32, minor: 0 }],
      /rdevmajor/,
    ],
  ] as [string, CpioEntry[], RegExp][])('refuses %s', (_, entries, message) => {
    expect(() => writeCpio(entries)).toThrow(message);
  });

  it('says where an archive is broken', () => {
    const good = archive([{ type: 'file', path: 'f', mode: 0o600, data: new Uint8Array(64) }]);
    expect(() => readCpio(good.subarray(0, 100))).toThrow(
      /offset 0: needs 110 bytes, the archive ends at 100/,
    );
    expect(() => readCpio(good.subarray(0, 140))).toThrow(/its data ends at 176, the archive at 140/);
    expect(() => readCpio(Buffer.concat([Buffer.from('070702'), good.subarray(6)]))).toThrow(
      /found "070702"/,
    );
    const bad = Buffer.from(good);
    bad.write('zz', 6);
    expect(() => readCpio(bad)).toThrow(/ino is "zz/);
  });

  it.runIf(hasCpio)('is an archive to cpio(1)', () => {
    const entries: CpioEntry[] = [
      { type: 'directory', path: 'bin', mode: 0o755 },
      { type: 'file', path: 'bin/tool', mode: 0o755, data: Buffer.from('#!/bin/sh\n') },
      { type: 'symlink', path: 'bin/sh', target: 'tool' },
      { type: 'character-device', path: 'console', mode: 0o600, major: 5, minor: 1 },
    ];
    const listing = spawnSync('cpio', ['-itv', '--quiet'], { input: archive(entries) });
    expect(listing.stderr.toString()).toBe('');
    const lines = listing.stdout.toString().trim().split('\n');
    expect(lines.map((line) => line.split(/\s+/)[0])).toEqual([
      'drwxr-xr-x',
      '-rwxr-xr-x',
      'lrwxrwxrwx',
      'crw-------',
    ]);
    expect(lines[2]).toMatch(/bin\/sh -> tool$/);
    expect(lines[3]).toMatch(/5,\s+1/);
  });
});
