import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import type { Architecture } from './arch.ts';
import { findBtf } from './btf.ts';
import type { BtfTypes } from './btf-types.ts';
import { inferredKeys } from './inferred.ts';
import { type Kallsyms, placesOfVmcoreinfo, readKallsyms } from './kallsyms.ts';
import { findKallsyms } from './kallsyms-scan.ts';
import type { VirtualMemory } from './memory.ts';

/**
 * What a kernel's memory tells beyond VMCOREINFO. Nothing is looked for until it is asked for; each is looked for once.
 */
export type KernelKnowledge = {
  /** The built-in symbols; undefined when the dump does not have them or they cannot be proved right. */
  readonly symbols: Kallsyms | undefined;
  /** The kernel's own type information; undefined when it was built without, or the dump does not have it. */
  readonly types: BtfTypes | undefined;
  /** VMCOREINFO; for keys that it lacks, what symbols and types tell. `exported` is the kernel's own text alone. */
  readonly info: Vmcoreinfo;
};

export function knowledgeOf(arch: Architecture, info: Vmcoreinfo, memory: VirtualMemory): KernelKnowledge {
  const image = arch.image?.range(info);
  const symbols = once(() => {
    const places = placesOfVmcoreinfo(info, memory);
    const exported = places && readKallsyms(places, info, memory);
    if (exported !== undefined || image === undefined) return exported;
    for (const found of findKallsyms(image, memory)) {
      const table = readKallsyms(found, info, memory);
      if (table !== undefined) return table;
    }
    return undefined;
  });
  const types = once(() => findBtf(symbols(), image, memory));
  const knowledge: KernelKnowledge = {
    get symbols() {
      return symbols();
    },
    get types() {
      return types();
    },
    get info() {
      return extended();
    },
  };
  const extended = once(() => info.withFallback(inferredKeys(knowledge)));
  return knowledge;
}

function once<T>(compute: () => T): () => T {
  let result: { readonly value: T } | undefined;
  return () => {
    result ??= { value: compute() };
    return result.value;
  };
}
