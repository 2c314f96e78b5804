// What is put into a machine while it runs; it has to have room for it (MachineOptions.hotplug).
import { KdumpError } from '../../../src/lib/errors.ts';
import type { Qmp } from './qmp.ts';

type CpuSlot = { type: string; props: Record<string, number>; 'qom-path'?: string };

/** One more processor, in the first slot that has none. */
export async function plugProcessor(qmp: Qmp): Promise<void> {
  const slots = (await qmp.execute('query-hotpluggable-cpus')) as CpuSlot[];
  const free = slots.findLast((slot) => slot['qom-path'] === undefined);
  if (free === undefined) throw new KdumpError('lab-hotplug', 'the machine has no room for a processor');
  await qmp.execute('device_add', { driver: free.type, id: 'more-cpu', ...free.props });
}

/** A module of memory. @param size MiB, of 128 each */
export async function plugMemory(qmp: Qmp, size: number): Promise<void> {
  await qmp.execute('object-add', { 'qom-type': 'memory-backend-ram', id: 'more-ram', size: size * 2 ** 20 });
  await qmp.execute('device_add', { driver: 'pc-dimm', id: 'more-memory', memdev: 'more-ram' });
}
