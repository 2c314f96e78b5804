import { kernelLog } from '../../kernel/log.ts';
import { KdumpError } from '../../lib/errors.ts';
import { systemFacts } from '../facts.ts';
import type { Session } from '../session.ts';
import type { StoryFacts } from './story.ts';
import { type Triage, triage } from './triage.ts';

/** The triage of a session's dump; where the log cannot be read, without what it tells. */
export function triageOf({ kernel, dump }: Session): Triage {
  let log = '';
  try {
    log = kernelLog(dump.vmcoreinfo, kernel.core.memory);
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
  }
  return triage(kernel, log);
}

export function storyFacts({ kernel, dump, isLive }: Session): StoryFacts {
  const { uts, uptime } = systemFacts(kernel, dump);
  return { release: uts?.release, uptime, live: isLive };
}
