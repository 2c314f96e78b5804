import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isKnownModule,
  type ModuleIndexTexts,
  moduleName,
  parseModuleIndex,
  resolveModules,
} from '../../src/formats/module-dep.ts';

const texts: ModuleIndexTexts = {
  dep: [
    'kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz kernel/drivers/virtio/virtio.ko.xz',
    'kernel/drivers/virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko.xz',
    'kernel/drivers/virtio/virtio.ko.xz:',
    'kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz',
    'kernel/lib/libcrc32c.ko.xz:',
    'kernel/crypto/crc32c_generic.ko.xz:',
    'kernel/arch/x86/crypto/crc32c-intel.ko.xz:',
    'kernel/extra/after.ko:',
    '',
  ].join('\n'),
  builtin: 'kernel/fs/ext4/ext4.ko\nkernel/drivers/block/virtio-blk.ko\n',
  softdep:
    '# comment\nsoftdep libcrc32c pre: crc32c\nsoftdep xfs nothing pre: not-there post: after\nsoftdep cifs gcm\n',
  alias:
    '# comment\nalias fs-xfs xfs\nalias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias pci:v00001AF4d0000100[0-9]sv* virtio_pci\n',
  builtinModinfo: 'ext4.license=GPL\0ext4.alias=fs-ext4\0ext4.alias=fs-ext3\0',
};
const index = parseModuleIndex(texts);
const order = (...wanted: string[]): string[] => resolveModules(index, wanted).map(({ name }) => name);

describe('modules.dep and its neighbours', () => {
  it('knows a module by the name the kernel gives it', () => {
    expect(moduleName('kernel/drivers/block/virtio-blk.ko.zst')).toBe('virtio_blk');
    expect(moduleName('a.ko')).toBe('a');
  });

  it('puts what a module needs before it, each once', () => {
    expect(order('virtio_pci', 'virtio')).toEqual(['virtio', 'virtio_ring', 'virtio_pci']);
    expect(resolveModules(index, ['virtio'])).toEqual([
      { name: 'virtio', path: 'kernel/drivers/virtio/virtio.ko.xz' },
    ]);
  });

  it('loads soft dependencies around a module, by alias as well, and passes over those that do not exist', () => {
    expect(order('xfs')).toEqual(['crc32c_generic', 'crc32c_intel', 'libcrc32c', 'xfs', 'after']);
  });

  it('leaves out what is part of the kernel', () => {
    expect(order('ext4', 'virtio-blk', 'fs-ext3')).toEqual([]);
  });

  it('takes aliases, with patterns, for names', () => {
    expect(order('fs-xfs')).toContain('xfs');
    expect(order('pci:v00001AF4d00001001sv00bc01')).toContain('virtio_pci');
    expect(isKnownModule(index, 'fs-ext4')).toBe(true);
    expect(isKnownModule(index, 'fs-btrfs')).toBe(false);
  });

  it('refuses a name that nothing is known by', () => {
    expect(() => order('virtio', 'nvme')).toThrow(
      expect.objectContaining({ code: 'module-missing', facts: { module: 'nvme' } }),
    );
  });

  it('refuses a modules.dep that is none', () => {
    expect(() => parseModuleIndex({ ...texts, dep: 'kernel/a.ko' })).toThrow(/has no colon/);
  });

  it('orders any acyclic graph so that needs come first', () => {
    const graph = fc
      .integer({ min: 1, max: 12 })
      .chain((count) =>
        fc.tuple(
          ...Array.from({ length: count }, (_, i) => fc.subarray(Array.from({ length: i }, (_, j) => j))),
        ),
      );
    fc.assert(
      fc.property(graph, (needs) => {
        // depmod lists all needs, the nearest first; here only the direct ones are given, which is harder.
        const dep = needs.map((list, i) => `m${i}.ko: ${list.map((j) => `m${j}.ko`).join(' ')}`).join('\n');
        const resolved = resolveModules(
          parseModuleIndex({ dep, builtin: '', softdep: '', alias: '', builtinModinfo: '' }),
          [`m${needs.length - 1}`],
        ).map(({ name }) => Number(name.slice(1)));
        expect(new Set(resolved).size).toBe(resolved.length);
        for (const module of resolved)
          for (const needed of needs[module]!)
            expect(resolved.indexOf(needed)).toBeLessThan(resolved.indexOf(module));
        expect(resolved).toContain(needs.length - 1);
      }),
    );
  });
});
