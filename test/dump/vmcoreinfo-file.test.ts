import { describe, expect, test } from 'vitest';
import {
  checkRelease,
  parseVmcoreinfoFile,
  vmcoreinfoOf,
  withVmcoreinfoFile,
} from '../../src/dump/vmcoreinfo-file.ts';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import type { Vmlinux } from '../../src/kernel/vmlinux.ts';
import type { KdumpError } from '../../src/lib/errors.ts';
import { fixtures, openFixture } from '../helpers/vmlinux.ts';

const error = (action: () => unknown): KdumpError => {
  try {
    action();
  } catch (thrown) {
    return thrown as KdumpError;
  }
  throw new Error('nothing was thrown');
};

describe('a file made from a vmlinux', () => {
  test.each(fixtures)('%s', (name) => {
    const vmlinux = openFixture(name);
    const lines = vmcoreinfoOf(vmlinux, 4096).split('\n');
    const symbol = (each: string): string => `SYMBOL(${each})=${vmlinux.symbols.address(each)!.toString(16)}`;
    expect(lines).toEqual([
      'OSRELEASE=5.0.0-test',
      'PAGESIZE=4096',
      symbol('init_uts_ns'),
      symbol('_stext'),
      symbol('node_data'),
      'SIZE(page)=48',
      'SIZE(pglist_data)=1960',
      'SIZE(zone)=976',
      'SIZE(free_area)=88',
      'SIZE(list_head)=16',
      'OFFSET(page.flags)=0',
      'OFFSET(page._refcount)=44',
      'OFFSET(page.mapping)=24',
      'OFFSET(page.lru)=8',
      'OFFSET(page._mapcount)=40',
      'OFFSET(page.private)=32',
      'OFFSET(page.compound_dtor)=16',
      'OFFSET(page.compound_order)=17',
      'OFFSET(page.compound_head)=8',
      'OFFSET(zone.free_area)=8',
      'OFFSET(zone.spanned_pages)=0',
      'OFFSET(free_area.free_list)=0',
      'OFFSET(list_head.next)=0',
      'OFFSET(list_head.prev)=8',
      'OFFSET(uts_namespace.name)=4',
      // makedumpfile writes 9223372036854775806 here, its mark for an array; the kernel's own note has the length.
      'LENGTH(node_data)=4',
      'LENGTH(zone.free_area)=11',
      'LENGTH(free_area.free_list)=5',
      'NUMBER(PG_lru)=4',
      'NUMBER(PG_private)=13',
      'NUMBER(PG_head_mask)=65536',
      'NUMBER(PG_swapcache)=10',
      '',
    ]);
  });

  test('without data there is no release, without struct page no use', () => {
    const vmlinux = openFixture('dwarf5');
    const like = (changes: Partial<Vmlinux>): Vmlinux =>
      ({
        path: 'vmlinux',
        symbols: vmlinux.symbols,
        types: vmlinux.types,
        release: vmlinux.release,
        ...changes,
      }) as Vmlinux;
    expect(error(() => vmcoreinfoOf(like({ release: undefined } as object), 4096)).code).toBe('no-release');
    const types = { ...nothingKnown };
    expect(error(() => vmcoreinfoOf(like({ types }), 4096)).message).toContain('SIZE(page)');
  });

  test('the newer names of members and structures', () => {
    const members: Record<string, number> = {
      'page.flags': 0,
      'page.mapping': 24,
      'page.compound_info': 8,
      'page._count': 28,
      'printk_log.len': 8,
    };
    const types = {
      ...nothingKnown,
      find: (name: string) =>
        ['page', 'printk_log'].includes(name) ? { kind: 'struct' as const, name, size: 64 } : undefined,
      member: (struct: string, path: string) => {
        const offset = members[`${struct}.${path}`];
        return offset === undefined
          ? undefined
          : { offset, type: { kind: 'integer' as const, name: 'int', size: 4 } };
      },
      enumerator: (name: string) => (name === 'PG_compound' ? 14n : undefined),
    };
    const vmlinux = { path: 'v', release: '3.16', symbols: { address: () => undefined }, types } as never;
    expect(vmcoreinfoOf(vmlinux, 65536).split('\n')).toEqual([
      'OSRELEASE=3.16',
      'PAGESIZE=65536',
      'SIZE(page)=64',
      'SIZE(printk_log)=64',
      'OFFSET(page.flags)=0',
      'OFFSET(page._count)=28',
      'OFFSET(page.mapping)=24',
      'OFFSET(page.compound_head)=8',
      'OFFSET(printk_log.len)=8',
      'NUMBER(PG_head_mask)=16384',
      '',
    ]);
  });
});

const nothingKnown = {
  find: () => undefined,
  member: () => undefined,
  enumerator: () => undefined,
  variable: () => undefined,
};

describe('a file that is given', () => {
  const file = parseVmcoreinfoFile(
    'OSRELEASE=5.0.0\nPAGESIZE=4096\nSYMBOL(a)=ffffffff81000000\nSYMBOL(percpu)=1f000\nSIZE(page)=64\n',
    'given',
  );

  test.each([
    ['', /given: no OSRELEASE and no PAGESIZE/],
    ['OSRELEASE=5.0.0\n', /given: no PAGESIZE/],
    ['PAGESIZE=4096\n', /given: no OSRELEASE/],
    ['OSRELEASE=5.0.0\nPAGESIZE=4095\n', /PAGESIZE=4095 is no size of a page/],
    ['OSRELEASE=5.0.0\nPAGESIZE=lots\n', /PAGESIZE is not a number/],
  ])('%j is refused', (text, message) => {
    expect(() => parseVmcoreinfoFile(text, 'given')).toThrow(message);
  });

  test('its symbols move to where KASLR put the kernel', () => {
    const own = new Vmcoreinfo(
      'OSRELEASE=5.0.0\nKERNELOFFSET=1000000\nSYMBOL(b)=ffffffff83000000\nCRASHTIME=7\n',
    );
    const info = withVmcoreinfoFile(file, own);
    expect(info.symbol('a')).toBe(0xffff_ffff_8200_0000n);
    expect(info.symbol('percpu')).toBe(0x1f000n);
    expect(info.symbol('b')).toBe(0xffff_ffff_8300_0000n);
    expect(info.size('page')).toBe(64);
    expect(info.crashTime).toBe(7);
    expect(info.get('KERNELOFFSET')).toBe('1000000');
  });

  test('what the file says counts more than what the dump says', () => {
    const own = new Vmcoreinfo('SIZE(page)=56\nSIZE(zone)=100\n');
    const info = withVmcoreinfoFile(file, own);
    expect(info.size('page')).toBe(64);
    expect(info.size('zone')).toBe(100);
  });

  test('but the dump knows where its memory sections are', () => {
    const given = parseVmcoreinfoFile(`${file.text}SYMBOL(mem_section)=ffffffff833aa798\n`, 'given');
    const own = new Vmcoreinfo('SYMBOL(mem_section)=ffff8b965ffd9000\n');
    expect(withVmcoreinfoFile(given, own).symbol('mem_section')).toBe(0xffff_8b96_5ffd_9000n);
    expect(withVmcoreinfoFile(given, new Vmcoreinfo('')).symbol('mem_section')).toBe(0xffff_ffff_833a_a798n);
  });

  test('a file of a kernel that ran moves by the difference only', () => {
    const moved = parseVmcoreinfoFile(
      'OSRELEASE=5.0.0\nPAGESIZE=4096\nSYMBOL(a)=ffffffff82000000\nKERNELOFFSET=1000000\n',
      'given',
    );
    const own = new Vmcoreinfo('KERNELOFFSET=3000000\n');
    expect(withVmcoreinfoFile(moved, own).symbol('a')).toBe(0xffff_ffff_8400_0000n);
  });

  test('a dump without VMCOREINFO has the file alone', () => {
    expect(withVmcoreinfoFile(file, undefined).symbol('a')).toBe(0xffff_ffff_8100_0000n);
  });

  test('another release ends the command with exit code 2', () => {
    checkRelease(file, 'given', '5.0.0', 'vmcore');
    const thrown = error(() => checkRelease(file, 'given', '5.0.1', 'vmcore'));
    expect(thrown).toMatchObject({ code: 'wrong-release', exitCode: 2 });
    expect(thrown.message).toBe('given is of release 5.0.0, vmcore of release 5.0.1');
  });
});
