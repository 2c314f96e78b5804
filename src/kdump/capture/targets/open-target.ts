import type { CaptureTarget } from '../config.ts';
import type { Capture } from '../context.ts';
import { streamPatience } from '../steps/bounds.ts';
import { DirectoryTarget } from './directory-target.ts';
import { onDevice, onMounted, onVirtiofs } from './mountings.ts';
import { onNfs } from './nfs.ts';
import type { Place } from './place.ts';
import { RawTarget } from './raw.ts';
import { SshTarget } from './ssh.ts';
import type { Target } from './target.ts';

/** A target, as the capture uses it. Nothing of it is touched yet. */
export function openTarget({ config, machine, log }: Capture, target: CaptureTarget): Target {
  const place: Place = { config, machine, say: (line) => log.say(line) };
  switch (target.kind) {
    case 'filesystem':
      return new DirectoryTarget(onDevice(place, target));
    case 'mounted':
      return new DirectoryTarget(onMounted(place, target));
    case 'virtiofs':
      return new DirectoryTarget(onVirtiofs(place, target));
    case 'nfs':
      return new DirectoryTarget(onNfs(place, target));
    case 'raw':
      return new RawTarget(place, target.device);
    case 'ssh':
      return new SshTarget(place, target, config.coreCollector[0] === 'makedumpfile', streamPatience(config));
  }
}
