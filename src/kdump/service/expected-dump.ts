import { liveMemoryUsage } from '../../dump/mem-usage.ts';
import { collectRequest } from '../capture/collector-words.ts';
import type { EffectiveSettings } from '../config/effective.ts';

/** What a dump would hold if the kernel crashed now; bytes, before anything is compressed. */
export type ExpectedDump = { readonly level: number; readonly bytes: number; readonly memory: number };

/** Bits of a dump level: makedumpfile(8). */
const kinds = [
  ['zero', 1],
  ['cache', 2],
  ['cachePrivate', 4],
  ['user', 8],
  ['free', 16],
] as const;

/**
 * Counts the pages of the running kernel that the collector would save.
 * @param path /proc/kcore
 * @throws KdumpError as liveMemoryUsage
 */
export function expectedDump(settings: EffectiveSettings, path: string, root: string): ExpectedDump {
  const { pages, pageSize } = liveMemoryUsage(path, root, { progress: () => {}, message: () => {} });
  const level = dumpLevel(settings.collector);
  const excluded = kinds.reduce(
    (sum, [kind, bit]) => sum + ((level & bit) === 0 ? 0 : pages.excludable[kind]),
    0,
  );
  return { level, bytes: (pages.total - excluded) * pageSize, memory: pages.total * pageSize };
}

/** The first dump level of the collector; 0 for one that filters nothing. @throws KdumpError `usage` */
export function dumpLevel(collector: readonly string[]): number {
  if (collector[0] !== 'makedumpfile') return 0;
  const options = collector.slice(1).filter((word) => word !== '-F');
  return collectRequest([...options, '/proc/vmcore', 'vmcore']).dumpLevels[0] ?? 0;
}
