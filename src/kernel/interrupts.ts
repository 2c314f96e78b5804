import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { walkMapleTree } from './maple-tree.ts';
import { isMissing } from './memory.ts';
import type { KernelObject } from './object.ts';
import { xarrayEntries } from './xarray.ts';

export type Interrupt = {
  readonly number: number;
  /** Its struct irq_desc. */
  readonly object: KernelObject;
  /** Its handlers; more than one when it is shared. */
  readonly actions: readonly KernelObject[];
};

const mostActions = 256;

/** Interrupts that have a descriptor, in ascending order: in a maple tree since 6.5, before that in a radix tree. */
export function interrupts(kernel: Kernel): Interrupt[] {
  const { core } = kernel;
  const maple = core.address('sparse_irqs');
  const radix = core.address('irq_desc_tree');
  const entries =
    maple !== undefined
      ? walkMapleTree(core, maple).ranges.map(({ first, entry }) => ({ index: first, entry }))
      : [...xarrayEntries(core, (radix && xarrayHead(kernel, radix)) ?? 0n)];
  return entries.map(({ index, entry }) => {
    const object = kernel.object('irq_desc', entry);
    return { number: Number(index), object, actions: actionsOf(kernel, object) };
  });
}

function xarrayHead(kernel: Kernel, address: bigint): bigint | undefined {
  return known(kernel.object('xarray', address).member('xa_head').integer());
}

function actionsOf(kernel: Kernel, descriptor: KernelObject): KernelObject[] {
  const actions: KernelObject[] = [];
  let at = known(descriptor.member('action').integer());
  while (at && actions.length < mostActions && !actions.some(({ address }) => address === at)) {
    const action = kernel.object('irqaction', at);
    actions.push(action);
    at = known(action.member('next').integer());
  }
  return actions;
}

/** How often an interrupt came on a CPU. */
export function interruptCount({ core }: Kernel, { object }: Interrupt, cpu: number): number | undefined {
  const base = known(object.member('kstat_irqs').integer());
  const address = base ? core.perCpuAddress(base, cpu) : undefined;
  const count = address === undefined || isMissing(address) ? undefined : known(core.i32(address));
  return count === undefined ? undefined : count >>> 0;
}

/** CPUs that it may be delivered to. */
export function affinityOf(kernel: Kernel, { object }: Interrupt): number[] {
  const mask = object.find('irq_common_data.affinity');
  if (mask === undefined) return [];
  // A pointer when the kernel was built for more CPUs than fit into a word or two.
  const address = mask.type.bare.kind === 'pointer' ? known(mask.integer()) : mask.address;
  return kernel.core.cpus('possible').filter((cpu) => {
    const word = address ? known(kernel.core.u64(address + BigInt((cpu >> 6) * 8))) : undefined;
    return word !== undefined && ((word >> BigInt(cpu & 63)) & 1n) !== 0n;
  });
}
