import { KdumpError } from '../../../lib/errors.ts';
import type { Place } from './place.ts';

/** How long a server that cannot be reached is tried again: a link may need so long to carry anything. */
const bound = 60;
const pause = 3;

/**
 * Reaches a server, again and again for a while.
 * @param mayPass whether trying again can be of use after an error
 */
export function keepTrying(
  { machine, say }: Place,
  reach: () => void,
  mayPass: (error: KdumpError) => boolean,
): void {
  const until = machine.uptime() + bound;
  for (;;) {
    try {
      reach();
      return;
    } catch (error) {
      if (!(error instanceof KdumpError) || !mayPass(error) || machine.uptime() >= until) throw error;
      say(`${error.message}; trying again`);
      machine.sleep(pause);
    }
  }
}
