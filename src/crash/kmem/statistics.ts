import { known } from '../../kernel/core.ts';
import { type Counter, counterNames, counters } from '../../kernel/counters.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import { memoryNodes } from '../../kernel/zones.ts';
import type { Session } from '../session.ts';
import { hex, shown } from '../text.ts';

/** kmem -V: counters of zones, of nodes, of events. */
export function* statisticsLines({ kernel }: Session): Generator<string> {
  yield '  VM_ZONE_STAT:';
  yield* columns(counters(kernel, 'vm_zone_stat', 'zone_stat_item'), 26);
  yield '';
  yield '  VM_NODE_STAT:';
  yield* columns(counters(kernel, 'vm_node_stat', 'node_stat_item'), 26);
  yield '';
  const events = eventCounters(kernel);
  if (events.length === 0) return;
  yield '  VM_EVENT_STATES:';
  yield* columns(events, Math.max(...events.map(({ name }) => name.length)));
  yield '';
}

/** Counters that are kept by CPU. */
function eventCounters(kernel: Kernel): Counter[] {
  const type = kernel.core.type('enum vm_event_item');
  return counterNames(type?.enumerators ?? []).map(({ name, value }) => {
    let sum = 0n;
    for (const cpu of kernel.core.cpus('online')) {
      const address = kernel.perCpu('vm_event_states', cpu);
      const word = typeof address === 'bigint' ? kernel.core.u64(address + value * 8n) : undefined;
      if (word !== undefined && isMissing(word)) return { name, value: word };
      sum += word ?? 0n;
    }
    return { name, value: sum };
  });
}

function* columns(list: readonly Counter[], width: number): Generator<string> {
  for (const { name, value } of list) yield `${name.padStart(width)}: ${shown(value)}`;
}

/** kmem -z: every zone of every node. */
export function* zoneLines({ kernel }: Session): Generator<string> {
  const items = kernel.core.type('enum zone_stat_item');
  for (const { id, zones } of memoryNodes(kernel)) {
    for (const { index, object: zone, name } of zones) {
      yield `NODE: ${id}  ZONE: ${index}  ADDR: ${hex(zone.address)}  NAME: "${name}"`;
      const size = zone.member('spanned_pages').integer();
      const present = zone.member('present_pages').integer();
      if (present === 0n) {
        yield '  [unpopulated]';
        yield '';
        continue;
      }
      const there = size === present ? '' : `  PRESENT: ${shown(present)}`;
      const boost = known(zone.find('watermark_boost')?.integer()) ?? 0n;
      const marks = [0, 1, 2].map((mark) =>
        shown(zone.member(`_watermark[${mark}]`, `watermark[${mark}]`).integer(), (value) =>
          String(value + boost),
        ),
      );
      yield `  SIZE: ${shown(size)}${there}  MIN/LOW/HIGH: ${marks.join('/')}`;
      yield '  VM_STAT:';
      const stats = counterNames(items?.enumerators ?? []).map(({ name, value }) => {
        const word = zone.member('vm_stat').address + value * 8n;
        return { name, value: kernel.core.u64(word) };
      });
      yield* columns(stats, Math.max(...stats.map(({ name }) => name.length)));
      yield '';
      yield '';
    }
  }
}
