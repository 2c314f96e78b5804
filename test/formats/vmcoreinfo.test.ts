import { expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';

const info = new Vmcoreinfo(
  'OSRELEASE=6.1.0\nPAGESIZE=4096\nCRASHTIME=1700000000\nSYMBOL(_stext)=ffffffff81000000\nSIZE(page)=64\nOFFSET(page.flags)=0\n' +
    'LENGTH(zone.free_area)=11\nNUMBER(phys_base)=-69206016\nNUMBER(VMALLOC_START)=0xffffcd9f80000000\nNUMBER(VA_BITS)=48\n' +
    'NUMBER(old_hex)=1f\nSIZE(page)=99\nSIZE(bad)=x\nno equals sign\n',
);

test('each kind of key is read in its own base', () => {
  expect(info.osrelease).toBe('6.1.0');
  expect(info.pageSize).toBe(4096);
  expect(info.crashTime).toBe(1700000000);
  expect(info.symbol('_stext')).toBe(0xffff_ffff_8100_0000n);
  expect(info.offset('page.flags')).toBe(0);
  expect(info.arrayLength('zone.free_area')).toBe(11);
  expect(info.number('phys_base')).toBe(-69206016n);
  expect(info.number('VMALLOC_START')).toBe(0xffff_cd9f_8000_0000n);
  expect(info.number('VA_BITS')).toBe(48n);
  expect(info.number('old_hex')).toBe(0x1fn);
});

test('the first of equal keys counts, an absent one is undefined, a broken one is named', () => {
  expect(info.size('page')).toBe(64);
  expect(info.symbol('nothing')).toBeUndefined();
  expect(info.number('nothing')).toBeUndefined();
  expect(() => info.size('bad')).toThrow("VMCOREINFO: SIZE(bad) is not a number: 'x'");
});

test('a fallback is asked for what the kernel does not tell, once, and never for what it tells', () => {
  const asked: string[] = [];
  const extended = info.withFallback((key) => {
    asked.push(key);
    return key === 'SIZE(zone)' ? '1536' : undefined;
  });
  expect(extended.text).toBe(info.text);
  expect(extended.size('page')).toBe(64);
  expect(asked).toEqual([]);
  expect(extended.size('zone')).toBe(1536);
  expect(extended.size('zone')).toBe(1536);
  expect(extended.symbol('nothing')).toBeUndefined();
  expect(extended.symbol('nothing')).toBeUndefined();
  expect(asked).toEqual(['SIZE(zone)', 'SYMBOL(nothing)']);
  expect(extended.exported.size('zone')).toBeUndefined();
  expect(extended.exported).toBe(info);
  expect(info.exported).toBe(info);
});
