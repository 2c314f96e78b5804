import { Btf } from '../formats/btf.ts';
import { KdumpError } from '../lib/errors.ts';
import { type KernelCore, known } from './core.ts';
import { walkList } from './list.ts';

const mostModules = 4096;
const maxBytes = 2 ** 24;

/**
 * Types of modules, by what the kernel has of each (struct btf_module, since 5.11): their ids and names go on where the
 * kernel's own end. One that is damaged is left out.
 */
export function moduleTypes(core: KernelCore): Btf[] {
  const head = core.address('btf_modules');
  const link = core.type('btf_module')?.place('list');
  const base = core.btf;
  if (head === undefined || link === undefined || base === undefined) return [];
  return walkList(core.memory, head, mostModules).entries.flatMap((entry) => {
    const item = core.object('btf_module', entry - BigInt(link.offset));
    const name = known(known(item.member('module').deref())?.member('name').text()) ?? 'a module';
    const blob = known(item.member('btf').deref());
    const [data, size] = [known(blob?.find('data')?.integer()), known(blob?.find('data_size')?.number())];
    const bytes = data && size && size <= maxBytes ? known(core.memory.read(data, size)) : undefined;
    const types = bytes && openTypes(bytes, name, base);
    return types === undefined ? [] : [types];
  });
}

function openTypes(bytes: Uint8Array, name: string, base: Btf): Btf | undefined {
  try {
    return new Btf(bytes, `types of module ${name}`, base);
  } catch (error) {
    if (error instanceof KdumpError) return undefined;
    throw error;
  }
}
