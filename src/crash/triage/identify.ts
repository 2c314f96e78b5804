import { known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import { onStack, taskStack } from '../../kernel/stacks.ts';
import { vmallocAreas } from '../../kernel/vmalloc.ts';
import { hexText, placeText } from './frame-text.ts';
import { objectText } from './objects.ts';

/** One thing that an address is. */
export type Finding = {
  readonly kind:
    | 'null'
    | 'user'
    | 'symbol'
    | 'module'
    | 'former-module'
    | 'per-cpu'
    | 'stack'
    | 'slab'
    | 'page'
    | 'vmalloc'
    | 'descriptor'
    | 'not-mapped';
  readonly text: string;
};

/** End of what programs may map, whatever the levels of page tables; behind it no address is canonical for a while. */
const endOfUser = 1n << 56n;
/** The image and modules are mapped in the last 2 GiB, the fixed mappings behind them. */
const [imageSpace, endOfModules] = [0xffff_ffff_8000_0000n, 0xffff_ffff_ff00_0000n];
const firstPage = 4096n;

/** Everything that an address is, the most telling first. */
export function identify(kernel: Kernel, address: bigint): Finding[] {
  if (address < firstPage) return [{ kind: 'null', text: `${hexText(address)} bytes behind NULL` }];
  const variable = perCpuVariable(kernel, address);
  if (variable !== undefined)
    return [{ kind: 'per-cpu', text: `${variable}, of which every CPU has its own` }];
  if (address < endOfUser) return [{ kind: 'user', text: 'an address of a program, or of none at all' }];
  const mapped = kernel.core.memory.translate(address);
  return [
    ...named(kernel, address),
    ...perCpu(kernel, address),
    ...stack(kernel, address),
    ...formerModule(kernel, address),
    ...vmallocArea(kernel, address),
    ...page(kernel, address),
    ...(isMissing(mapped)
      ? [{ kind: 'not-mapped', text: 'the page tables map nothing there' } as const]
      : []),
  ];
}

function named(kernel: Kernel, address: bigint): Finding[] {
  const place = kernel.symbolAt(address);
  if (place !== undefined) return [{ kind: 'symbol', text: placeText(place) }];
  const module = kernel.modules.find((each) => each.contains(address));
  return module === undefined ? [] : [{ kind: 'module', text: `memory of module ${module.name}` }];
}

/** Where modules are loaded, but none is now: that the last one that was unloaded lay there can only be guessed. */
function formerModule(kernel: Kernel, address: bigint): Finding[] {
  const end = kernel.symbol('_end')?.address;
  if (address < imageSpace || address >= endOfModules || end === undefined || address < end) return [];
  if (kernel.modules.some((module) => module.contains(address))) return [];
  const last = kernel.lastUnloadedModule;
  const text = `in the area of modules, but of none that is loaded${last ? `; the last one unloaded was ${last}` : ''}`;
  return [{ kind: 'former-module', text }];
}

function perCpu(kernel: Kernel, address: bigint): Finding[] {
  const { core } = kernel;
  const [start, end] = [core.address('__per_cpu_start'), core.address('__per_cpu_end')];
  if (start === undefined || end === undefined) return [];
  for (const cpu of core.cpus('possible')) {
    const base = core.perCpuAddress(start, cpu);
    if (base === undefined || isMissing(base) || address < base || address >= base + (end - start)) continue;
    const variable = perCpuVariable(kernel, start + (address - base));
    return [{ kind: 'per-cpu', text: `${variable ?? 'per-CPU memory'} of CPU ${cpu}` }];
  }
  return [];
}

/** The per-CPU variable whose own symbol an address belongs to. */
function perCpuVariable({ core }: Kernel, address: bigint): string | undefined {
  const [start, end] = [core.address('__per_cpu_start'), core.address('__per_cpu_end')];
  if (start === undefined || end === undefined || address < start || address >= end) return undefined;
  const symbol = core.kallsyms?.at(core.kallsyms.indexOf(address));
  return symbol && `${symbol.name}+0x${(address - symbol.address).toString(16)}`;
}

function stack(kernel: Kernel, address: bigint): Finding[] {
  for (const { cpu } of kernel.cpus) {
    const own = kernel.stacks(cpu).find((range) => onStack(range, address));
    if (own !== undefined) return [{ kind: 'stack', text: `${own.name} stack of CPU ${cpu}` }];
  }
  for (const task of kernel.tasks) {
    const range = taskStack(kernel.core, task);
    const name = () => `${known(task.comm) ?? '?'} (pid ${known(task.pid) ?? '?'})`;
    if (onStack(range, address)) return [{ kind: 'stack', text: `stack of ${name()}` }];
    // The guard page below it.
    if (range !== undefined && address < range.start && address >= range.start - firstPage)
      return [{ kind: 'stack', text: `just below the stack of ${name()}` }];
  }
  return [];
}

function page(kernel: Kernel, address: bigint): Finding[] {
  const info = kernel.memoryMap.pageAt(address);
  if (info === undefined) return [];
  const { pfn, kind, object } = info;
  const found: Finding[] = [];
  if (object !== undefined) {
    const text = objectText(kernel, object);
    const offset = address - object.address;
    found.push({
      kind: 'slab',
      text: `${hexText(offset)} bytes into the object ${hexText(object.address)} of ${object.cache}${text === undefined ? '' : `: ${text}`}`,
    });
  }
  return [...found, { kind: 'page', text: `page frame ${pfn}: ${pageNames[kind]}` }];
}

const pageNames = {
  slab: 'slab',
  free: 'free',
  anonymous: "a program's memory",
  file: 'page cache of a file',
  kernel: 'used by the kernel',
} as const;

function vmallocArea(kernel: Kernel, address: bigint): Finding[] {
  const area = vmallocAreas(kernel).areas.find(({ start, end }) => address >= start && address < end);
  if (area === undefined) return [];
  const caller = known(known(area.object.find('vm')?.deref())?.find('caller')?.integer());
  const by = caller ? kernel.symbolAt(caller) : undefined;
  const text = `vmalloc area ${hexText(area.start)} to ${hexText(area.end)}${by ? `, made by ${placeText(by)}` : ''}`;
  return [{ kind: 'vmalloc', text }];
}
