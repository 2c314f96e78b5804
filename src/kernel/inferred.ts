import type { KernelSymbols, KernelTypes } from './types.ts';

/**
 * Answers keys of VMCOREINFO that a kernel does not export from its own types and symbols, in VMCOREINFO's syntax:
 * SYMBOL(x), SIZE(x), OFFSET(a.b), LENGTH(a.b), and those NUMBER()s that are constants of an enum. What it does not
 * know for certain it does not answer: a constant that an enum lacks is a thing that the kernel lacks.
 *
 * What asks for keys, and which of them can be answered here when they are missing:
 *
 * - `pageLayout`: SIZE(page), OFFSET(page.…), OFFSET(folio.…), LENGTH(zone.free_area), NUMBER(PG_…),
 *   NUMBER(PAGE_…_MAPCOUNT_VALUE), NUMBER(HUGETLB_PAGE_DTOR): all.
 * - `readSections`: SIZE(mem_section), OFFSET(mem_section.section_mem_map), SIZE(page); not SYMBOL(mem_section), which is
 *   the value of a variable on most kernels, nor LENGTH(mem_section), NUMBER(SECTION_SIZE_BITS), NUMBER(MAX_PHYSMEM_BITS).
 * - x86_64: SYMBOL(init_top_pgt), NUMBER(phys_base), NUMBER(sme_mask), NUMBER(pgtable_l5_enabled) are needed before
 *   memory can be read at all: none.
 *
 * @param known its parts are read when a key first needs them
 */
export function inferredKeys(known: {
  readonly types: KernelTypes | undefined;
  readonly symbols: KernelSymbols | undefined;
}): (key: string) => string | undefined {
  return (key) => {
    const [, form, name] = /^(SYMBOL|SIZE|OFFSET|LENGTH|NUMBER)\(([\w.]+)\)$/.exec(key) ?? [];
    if (form === undefined || name === undefined) return undefined;
    switch (form) {
      case 'SYMBOL':
        return valueSymbols.has(name) ? undefined : known.symbols?.address(name)?.toString(16);
      case 'SIZE':
        return positive(known.types?.find(name)?.size);
      case 'OFFSET':
        return name.includes('.') ? memberOf(known.types, name)?.offset.toString() : undefined;
      case 'LENGTH':
        return positive(
          (name.includes('.') ? memberOf(known.types, name)?.type : known.types?.variable(name))?.length,
        );
      default:
        return isEnumConstant(name) ? numberOf(known.types, name)?.toString() : undefined;
    }
  };
}

/** Keys of the form SYMBOL() that are not the address of the symbol (VMCOREINFO_SYMBOL_ARRAY of a pointer, a macro). */
const valueSymbols: ReadonlySet<string> = new Set(['mem_section', 'vmemmap']);

const positive = (value: number | undefined): string | undefined =>
  value !== undefined && value > 0 ? value.toString() : undefined;

function memberOf(types: KernelTypes | undefined, name: string) {
  const dot = name.indexOf('.');
  return types?.member(name.slice(0, dot), name.slice(dot + 1));
}

/** Page types by the name that VMCOREINFO gives them; the enum calls them PGTY_x (6.12), PG_x before. */
const pageTypes: Readonly<Record<string, string>> = {
  PAGE_BUDDY_MAPCOUNT_VALUE: 'buddy',
  PAGE_SLAB_MAPCOUNT_VALUE: 'slab',
  PAGE_HUGETLB_MAPCOUNT_VALUE: 'hugetlb',
  PAGE_OFFLINE_MAPCOUNT_VALUE: 'offline',
  PAGE_UNACCEPTED_MAPCOUNT_VALUE: 'unaccepted',
};
/** Other constants of enums that are exported under their own names. */
const constants: ReadonlySet<string> = new Set(['HUGETLB_PAGE_DTOR', 'NR_FREE_PAGES']);

const isEnumConstant = (name: string): boolean =>
  name.startsWith('PG_') || Object.hasOwn(pageTypes, name) || constants.has(name);

function numberOf(types: KernelTypes | undefined, name: string): bigint | undefined {
  if (types === undefined) return undefined;
  if (name === 'PG_head_mask') {
    const head = flagOf(types, 'PG_head');
    return head === undefined ? undefined : 1n << head;
  }
  const pageType = pageTypes[name];
  if (pageType !== undefined) return pageTypeOf(types, pageType);
  return constants.has(name) ? types.enumerator(name) : flagOf(types, name);
}

/** Bit number of a page flag. In 6.11 the types of pages are called PG_ too, but are masks far above any bit number. */
function flagOf(types: KernelTypes, name: string): bigint | undefined {
  const value = types.enumerator(name);
  return value !== undefined && value >= 0n && value < 64n ? value : undefined;
}

/** What _mapcount is in pages of a type, as a signed 32-bit number (include/linux/page-flags.h, enum pagetype). */
function pageTypeOf(types: KernelTypes, name: string): bigint | undefined {
  const byte = types.enumerator(`PGTY_${name}`);
  if (byte !== undefined) return byte > 0n && byte < 256n ? BigInt.asIntN(32, byte << 24n) : undefined;
  // A cleared bit among ones, of a page type that begins as -1.
  const mask = types.enumerator(`PG_${name}`);
  return mask !== undefined && mask >= 1n << 24n && mask < 1n << 32n ? BigInt.asIntN(32, ~mask) : undefined;
}
