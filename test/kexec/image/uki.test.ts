import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ImageContent, memoryContent } from '../../../src/kexec/image/content.ts';
import { readUki, type Uki } from '../../../src/kexec/image/uki.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { buildPe, buildUki, sectionTableAt, type UkiOptions } from '../../helpers/uki.ts';
import { errorOf } from '../fixtures.ts';

const linux = Buffer.alloc(2000, 'kernel');
const read = (options: UkiOptions): Uki => readUki(memoryContent(buildUki({ linux, ...options }), 'x.efi'))!;
const textOf = (content: ImageContent | null): string | null =>
  content && Buffer.from(content.read(0, content.size)).toString();

describe('readUki', () => {
  test('finds everything in it', () => {
    const dtb = Buffer.from('device tree');
    const uki = read({ cmdline: 'quiet', initrd: Buffer.from('archive'), dtb, osrel: 'ID=x', uname: '6.1' });
    expect(textOf(uki.linux)).toBe(linux.toString());
    expect(uki.linux.name).toBe('x.efi: .linux');
    expect(textOf(uki.initrd)).toBe('archive');
    expect(textOf(uki.dtb)).toBe('device tree');
    expect(uki).toMatchObject({ commandLine: 'quiet', signed: false });
    expect(read({ signed: true }).signed).toBe(true);
  });

  test('a kernel is enough', () => {
    expect(read({})).toMatchObject({ commandLine: null, initrd: null, dtb: null });
  });

  test.each([
    ['root=/dev/vda quiet\n', 'root=/dev/vda quiet'],
    ['a b\0\0\0\0', 'a b'],
    ['  a\tb\r\n\nc\n\0garbage', 'a b c'],
    ['\0', null],
    [' \n', null],
    ['', null],
  ])('makes one line of the command line %j', (cmdline, line) => {
    expect(read({ cmdline }).commandLine).toBe(line);
  });

  test('refuses what cannot be a command line', () => {
    const error = errorOf(() => read({ cmdline: 'x'.repeat(65537) }));
    expect(error.message).toBe('x.efi: .cmdline: 65537 bytes are no command line');
  });

  test('puts microcode before the initrd, and the initrd where an archive may begin', () => {
    const initrd = Buffer.from('archive');
    const joined = read({ ucode: Buffer.from('ucode'), initrd }).initrd!;
    expect(textOf(joined)).toBe('ucode\0\0\0archive');
    expect(joined.name).toBe('x.efi: .initrd');
    expect(textOf(read({ ucode: Buffer.from('four'), initrd }).initrd)).toBe('fourarchive');
    expect(textOf(read({ ucode: Buffer.from('ucode') }).initrd)).toBe('ucode');
  });

  test('takes the first section of a name', () => {
    expect(read({ cmdline: 'first', more: [{ name: '.cmdline', content: 'twice' }] }).commandLine).toBe(
      'first',
    );
  });

  test('takes the first of several profiles, and from the base what it has not', () => {
    const more = [
      { name: '.profile', content: 'ID=main' },
      { name: '.cmdline', content: 'main' },
      { name: '.profile', content: 'ID=rescue' },
      { name: '.cmdline', content: 'rescue' },
      { name: '.dtb', content: 'rescue' },
    ];
    const uki = read({ cmdline: 'base', initrd: Buffer.from('archive'), more });
    expect(uki).toMatchObject({ commandLine: 'main', dtb: null });
    expect(textOf(uki.linux)).toBe(linux.toString());
    expect(textOf(uki.initrd)).toBe('archive');
    // A profile that changes nothing, and one that is the only one.
    expect(read({ cmdline: 'base', more: [more[0]!, ...more.slice(2)] }).commandLine).toBe('base');
    expect(read({ cmdline: 'base', more: more.slice(0, 2) }).commandLine).toBe('main');
  });

  test('needs a kernel, and one with bytes', () => {
    const without = (options: UkiOptions) => memoryContent(buildUki(options), 'x.efi');
    for (const file of [
      without({ initrd: Buffer.from('archive') }),
      without({ linux: Buffer.alloc(0), cmdline: 'quiet' }),
      without({
        more: [
          { name: '.profile', content: 'ID=a' },
          { name: '.profile', content: 'ID=b' },
          { name: '.linux', content: linux },
        ],
      }),
    ]) {
      const error = errorOf(() => readUki(file));
      expect(error.code).toBe('bad-uki');
      expect(error.fix).toMatch(/addon/);
    }
  });

  test('is nothing else', () => {
    expect(readUki(memoryContent(buildPe([{ name: '.text', content: linux }]), 'x.efi'))).toBeNull();
    expect(readUki(memoryContent(linux, 'kernel'))).toBeNull();
    expect(readUki(memoryContent(new Uint8Array(0), 'empty'))).toBeNull();
  });

  test('any change of the headers gives parts that can be read, or a KdumpError', () => {
    const file = buildUki({
      linux,
      cmdline: 'quiet',
      initrd: Buffer.from('archive'),
      ucode: Buffer.from('u'),
    });
    const field = fc.tuple(
      fc.nat(sectionTableAt + 4 * 40),
      fc.oneof(fc.nat(255), fc.constantFrom(0xffff_ffff, 0x7fff_ffff, 0x8000_0000, file.length)),
    );
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 6 }), fc.nat(file.length), (edits, end) => {
        const damaged = Buffer.from(file);
        for (const [at, value] of edits)
          if (value > 255) damaged.writeUInt32LE(value, at);
          else damaged[at] = value;
        try {
          const uki = readUki(memoryContent(damaged.subarray(0, Math.max(end, 64)), 'x.efi'));
          for (const part of [uki?.linux, uki?.initrd, uki?.dtb])
            if (part) expect(part.read(0, part.size).length).toBe(part.size);
        } catch (error) {
          expect(error).toBeInstanceOf(KdumpError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
