import { afterAll, onTestFailed } from 'vitest';
import { type RoadOptions, type RoadResult, walkRoad } from './road.ts';

/**
 * Walks the roads of one file of tests; what is left of them goes when all its tests are over.
 * @param defaults options that all of them have
 */
export function roadWalker(defaults: RoadOptions = {}): typeof walkRoad {
  const roads: RoadResult[] = [];
  afterAll(async () => {
    for (const road of roads) await road.remove();
  });
  return async (options) => {
    const road = await walkRoad({ ...defaults, ...options });
    roads.push(road);
    onTestFailed(() => console.log(whatItSaid(road)));
    return road;
  };
}

/** What a reader of a failure wants to know: the capture, and what the next boot made of it. */
function whatItSaid({ log, said }: RoadResult): string {
  const lines = log.split('\n').filter((line) => /\b(kdump|lab): |Out of memory|EXT4-fs error/.test(line));
  return [...lines, said('status-after').text].join('\n');
}
