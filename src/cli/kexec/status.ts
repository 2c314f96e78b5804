import { describeLoaded } from '../../kexec/machine.ts';
import { readKexecState } from '../../system/proc.ts';
import type { CommandOf } from './command.ts';

/**
 * kexec-tools' answer is the other way round than a shell expects: 1 is loaded, 0 is not. Who wants JSON gets what a
 * service's status is: 0 loaded, 3 not. 255 is unknown in both.
 */
export function status({ type, manner }: CommandOf<'status'>): number {
  const { loaded: normalLoaded, crashLoaded, crashSize } = readKexecState(manner.root);
  const loaded = type === 'crash' ? crashLoaded : normalLoaded;
  if (manner.json)
    process.stdout.write(`${JSON.stringify({ type, loaded, crashLoaded, normalLoaded, crashSize })}\n`);
  else if (manner.debug) process.stderr.write(`kexec: ${describeLoaded(type, loaded)}\n`);
  const [yes, no] = manner.json ? [0, 3] : [1, 0];
  return loaded === null ? 255 : loaded ? yes : no;
}
