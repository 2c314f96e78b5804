import { expect, test } from 'vitest';
import { rd } from '../../../src/crash/commands/rd.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_8000_0000_0000n;

/** Three pages, the last of which may be lost; what is saved is gathered. */
function memory(lost: readonly number[] = []) {
  const saved = new Map<string, Buffer>();
  const bytes = Buffer.from(Array.from({ length: 3 * 4096 }, (_, i) => i & 0xff));
  const session = sessionOf({ pieces: [{ vaddr: start, bytes }], lost: new Set(lost) }, undefined, {
    saveFile: (path) => ({
      write: (piece) => saved.set(path, Buffer.concat([saved.get(path) ?? Buffer.alloc(0), piece])),
      close: () => saved.set(`${path} closed`, Buffer.alloc(0)),
    }),
  });
  return { session, saved, bytes };
}

test('rd -r: memory as it is into a file', () => {
  const { session, saved, bytes } = memory();
  expect(linesOf(session, rd, '-r out ffff800000000100 0x1f00')).toEqual([
    '7936 bytes copied from 0xffff800000000100 to out',
  ]);
  expect(saved.get('out')).toEqual(bytes.subarray(0x100, 0x2000));
  expect(saved.has('out closed')).toBe(true);
});

test('rd -r: up to what is missing, which is said', () => {
  const { session, saved, bytes } = memory([0x2000]);
  expect(linesOf(session, rd, '-r out ffff800000000800 9000')).toEqual([
    '6144 bytes copied from 0xffff800000000800 to out',
    'rd: 0xffff800000002000 cannot be read <excluded>: the file ends there',
  ]);
  expect(saved.get('out')).toEqual(bytes.subarray(0x800, 0x2000));
});

test('rd -r: not where nothing may be written', () => {
  expect(() => linesOf(sessionOf({}), rd, '-r out ffff800000000000 8')).toThrow('cannot be written');
});
