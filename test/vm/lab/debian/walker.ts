import { afterAll } from 'vitest';
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
    return road;
  };
}
