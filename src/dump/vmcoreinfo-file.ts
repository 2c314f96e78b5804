import { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { kernelOffset, relocated, type Vmlinux } from '../kernel/vmlinux.ts';
import { KdumpError } from '../lib/errors.ts';

/**
 * Files of VMCOREINFO text, for kernels that export too little themselves: made once from a vmlinux (-g), given to the
 * collector instead of it (-i). Keys and order are those of makedumpfile, which reads these files too.
 */

const symbols = [
  'mem_map',
  'vmem_map',
  'mem_section',
  'system_utsname',
  'init_uts_ns',
  '_stext',
  'swapper_pg_dir',
  'init_level4_pgt',
  'level4_kernel_pgt',
  'init_top_pgt',
  'vmlist',
  'vmap_area_list',
  'node_online_map',
  'node_states',
  'node_data',
  'pgdat_list',
  'contig_page_data',
  'prb',
  'clear_seq',
  'log_buf',
  'log_buf_len',
  'log_end',
  'log_first_idx',
  'clear_idx',
  'log_next_idx',
  'max_pfn',
  'high_memory',
  'node_remap_start_vaddr',
  'node_remap_end_vaddr',
  'node_remap_start_pfn',
  'vmemmap_list',
  'mmu_psize_defs',
  'mmu_vmemmap_psize',
  'cpu_pgd',
  'demote_segment_4k',
  'cur_cpu_spec',
  'free_huge_page',
];

/** The log of a kernel is a ring of descriptors (5.10 and later), of records (3.5 and later), or of bytes. */
const ringbuffer = {
  sizes: ['printk_ringbuffer', 'prb_desc', 'printk_info', 'latched_seq'],
  offsets: [
    'printk_ringbuffer.desc_ring',
    'printk_ringbuffer.text_data_ring',
    'prb_desc_ring.count_bits',
    'prb_desc_ring.descs',
    'prb_desc_ring.infos',
    'prb_desc_ring.head_id',
    'prb_desc_ring.tail_id',
    'prb_desc.state_var',
    'prb_desc.text_blk_lpos',
    'prb_data_blk_lpos.begin',
    'prb_data_blk_lpos.next',
    'prb_data_ring.size_bits',
    'prb_data_ring.data',
    'printk_info.ts_nsec',
    'printk_info.text_len',
    'printk_info.caller_id',
    'atomic_long_t.counter',
    'latched_seq.val',
  ],
};
const records = {
  sizes: ['printk_log'],
  offsets: ['printk_log.ts_nsec', 'printk_log.len', 'printk_log.text_len', 'printk_log.caller_id'],
};
const oldRecords = { sizes: ['log'], offsets: ['log.ts_nsec', 'log.len', 'log.text_len'] };

const sizesBefore = [
  'page',
  'mem_section',
  'pglist_data',
  'zone',
  'free_area',
  'list_head',
  'node_memblk_s',
  'nodemask_t',
];
const sizesAfter = ['vmemmap_backing', 'mmu_psize_def'];

/** Each with the names that other kernels have for it. */
const offsetsBefore: readonly (readonly [key: string, ...others: string[]])[] = [
  ['page.flags'],
  ['page._refcount'],
  ['page._count'],
  ['page.mapping'],
  ['page.lru'],
  ['page._mapcount'],
  ['page.private'],
  ['page.compound_dtor'],
  ['page.compound_order'],
  // Renamed in 7.1; readers of these files look for the old name.
  ['page.compound_head', 'page.compound_info'],
  ['folio._folio_dtor'],
  ['folio._folio_order'],
  ['mem_section.section_mem_map'],
  ['pglist_data.node_zones'],
  ['pglist_data.nr_zones'],
  ['pglist_data.node_mem_map'],
  ['pglist_data.node_start_pfn'],
  ['pglist_data.node_spanned_pages'],
  ['pglist_data.pgdat_next'],
  ['zone.free_pages'],
  ['zone.free_area'],
  ['zone.vm_stat'],
  ['zone.spanned_pages'],
  ['free_area.free_list'],
  ['list_head.next'],
  ['list_head.prev'],
  ['node_memblk_s.start_paddr'],
  ['node_memblk_s.size'],
  ['node_memblk_s.nid'],
  ['vm_struct.addr'],
  ['vmap_area.va_start'],
  ['vmap_area.list'],
];
const offsetsAfter = [
  'vmemmap_backing.phys',
  'vmemmap_backing.virt_addr',
  'vmemmap_backing.list',
  'mmu_psize_def.shift',
  'cpu_spec.mmu_features',
  'uts_namespace.name',
];

/** Arrays that are variables, then arrays that are members. */
const variableLengths = ['node_data', 'pgdat_list', 'mem_section', 'node_memblk', 'node_remap_start_pfn'];
const memberLengths = ['zone.free_area', 'free_area.free_list'];

const numbersBefore = ['NR_FREE_PAGES', 'N_ONLINE', 'PG_lru', 'PG_private'];
const numbersAfter = [
  'PG_swapcache',
  'PG_swapbacked',
  'PG_buddy',
  'PG_slab',
  'PG_hwpoison',
  'PG_hugetlb',
  'HUGETLB_PAGE_DTOR',
];

/** What no reader can do without: where struct page is, and what it looks like. */
const needed = ['SIZE(page)', 'OFFSET(page.flags)', 'OFFSET(page.mapping)'];

/**
 * Text of a VMCOREINFO file made from a vmlinux (-g).
 * @param pageSize bytes, of the kernel that the vmlinux is
 * @throws KdumpError `no-release` when the file holds no data, `no-debuginfo` when it does not describe struct page
 */
export function vmcoreinfoOf(vmlinux: Vmlinux, pageSize: number): string {
  const { release, types } = vmlinux;
  if (release === undefined) {
    throw new KdumpError(
      'no-release',
      `${vmlinux.path}: init_uts_ns, which has the kernel's release, cannot be read from it`,
      { fix: 'Give a vmlinux with code and data: a separate debug file has only the debug information.' },
    );
  }
  const lines: string[] = [`OSRELEASE=${release}`, `PAGESIZE=${pageSize}`];
  const add = (kind: string, name: string, value: { toString(): string } | undefined): void => {
    if (value !== undefined) lines.push(`${kind}(${name})=${value}`);
  };
  const offset = (path: string): number | undefined => {
    const dot = path.indexOf('.');
    return types.member(path.slice(0, dot), path.slice(dot + 1))?.offset;
  };
  const addSizes = (names: readonly string[]): void => {
    for (const name of names) add('SIZE', name, types.find(name)?.size || undefined);
  };
  const addOffsets = (names: readonly string[]): void => {
    for (const name of names) add('OFFSET', name, offset(name));
  };
  const addNumbers = (names: readonly string[]): void => {
    for (const name of names) add('NUMBER', name, types.enumerator(name));
  };
  const log =
    types.find('printk_ringbuffer') !== undefined
      ? ringbuffer
      : types.find('printk_log') !== undefined
        ? records
        : oldRecords;

  for (const name of symbols) add('SYMBOL', name, vmlinux.symbols.address(name)?.toString(16));
  addSizes([...sizesBefore, ...log.sizes, ...sizesAfter]);
  for (const [key, ...others] of offsetsBefore) {
    add('OFFSET', key, offset(key) ?? others.map(offset).find((each) => each !== undefined));
  }
  addOffsets([...log.offsets, ...offsetsAfter]);
  // Debug information lists what a symbol is; a variable without a symbol was not linked.
  for (const name of variableLengths) {
    if (vmlinux.symbols.address(name) === undefined) continue;
    add('LENGTH', name, types.variable(name)?.length);
  }
  for (const path of memberLengths) {
    const dot = path.indexOf('.');
    add('LENGTH', path, types.member(path.slice(0, dot), path.slice(dot + 1))?.type.length);
  }
  addNumbers(numbersBefore);
  const head = types.enumerator('PG_head') ?? types.enumerator('PG_compound');
  add('NUMBER', 'PG_head_mask', types.enumerator('PG_head_mask') ?? (head && 1n << head));
  addNumbers(numbersAfter);
  add('SRCFILE', 'pud_t', vmlinux.debugTypes?.typedefFile('pud_t'));

  for (const key of needed) {
    if (!lines.some((line) => line.startsWith(`${key}=`))) {
      throw new KdumpError('no-debuginfo', `${vmlinux.path}: its debug information does not tell ${key}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Reads a file that -g or makedumpfile wrote.
 * @param path for errors
 * @throws KdumpError `bad-vmcoreinfo` when it does not say of which kernel it is
 */
export function parseVmcoreinfoFile(text: string, path: string): Vmcoreinfo {
  const info = new Vmcoreinfo(text.replaceAll('\r\n', '\n'));
  const missing = ['OSRELEASE', 'PAGESIZE'].filter((key) => !info.get(key));
  if (missing.length > 0) {
    throw new KdumpError('bad-vmcoreinfo', `${path}: no ${missing.join(' and no ')} in it`, {
      fix: 'Make it from the kernel of the dump: makedumpfile -g FILE -x VMLINUX.',
    });
  }
  const size = info.pageSize ?? 0;
  if (size < 1024 || size > 2 ** 20 || !Number.isInteger(Math.log2(size)))
    throw new KdumpError('bad-vmcoreinfo', `${path}: PAGESIZE=${info.get('PAGESIZE')} is no size of a page`);
  return info;
}

/**
 * What -i makes of a dump's own VMCOREINFO: the file's keys, with its symbols moved to where KASLR put the kernel, and
 * the keys that only the dump has.
 * @param file from `parseVmcoreinfoFile`
 * @param own VMCOREINFO of the dump; undefined when it has none
 */
export function withVmcoreinfoFile(file: Vmcoreinfo, own: Vmcoreinfo | undefined): Vmcoreinfo {
  if (own === undefined) return file;
  const shift = kernelOffset(own) - kernelOffset(file);
  const lines = file.text.split('\n').flatMap((line) => {
    // The dump's own offset is the one that its symbols have.
    if (line.startsWith('KERNELOFFSET=')) return [];
    // A kernel exports where its memory sections are; a vmlinux knows where the pointer to them is, if it is one.
    if (line.startsWith('SYMBOL(mem_section)=') && own.get('SYMBOL(mem_section)') !== undefined) return [];
    const symbol = /^(SYMBOL\([^)]*\)=)([0-9a-f]{1,16})\s*$/i.exec(line);
    if (symbol === null) return line === '' ? [] : [line];
    return [`${symbol[1]}${relocated(BigInt(`0x${symbol[2]}`), shift).toString(16)}`];
  });
  return new Vmcoreinfo(`${lines.join('\n')}\n${own.text}`);
}

/**
 * Refuses a VMCOREINFO file of another kernel than the dump's.
 * @param path of the file
 * @param release as the dump's memory (utsname) tells it
 * @throws KdumpError `wrong-release`, exit code 2 as makedumpfile's WRONG_RELEASE
 */
export function checkRelease(file: Vmcoreinfo, path: string, release: string, vmcore: string): void {
  if (file.osrelease === release) return;
  throw new KdumpError(
    'wrong-release',
    `${path} is of release ${file.osrelease ?? '(none)'}, ${vmcore} of release ${release}`,
    {
      exitCode: 2,
      fix: `Make a file from the vmlinux of ${release}: makedumpfile -g FILE -x VMLINUX.`,
      facts: { file: file.osrelease, vmcore: release },
    },
  );
}
