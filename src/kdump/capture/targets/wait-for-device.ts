import { KdumpError } from '../../../lib/errors.ts';
import type { Place } from './place.ts';

const pause = 0.2;
/** A device that appears is looked at, which may wait for a disk to spin up. */
const lookBound = 120;

/** @returns path of the device. @throws KdumpError `device-missing` when it does not appear in time */
export function waitForDevice({ config, machine, say }: Place, device: string): string {
  const { deviceTimeout } = config;
  const until = machine.uptime() + deviceTimeout;
  machine.promise(deviceTimeout + lookBound);
  for (;;) {
    const found = machine.findDevice(device);
    if (found !== undefined) {
      say(`target ${device}${found === device ? '' : ` is ${found}`}`);
      return found;
    }
    if (machine.uptime() >= until)
      throw new KdumpError('device-missing', `target ${device} did not appear within ${deviceTimeout} s`, {
        fix: 'Build the image with the drivers of the device: extra_modules in /etc/kdump.conf, or mkdumprd --add-drivers.',
        facts: { device, seconds: deviceTimeout },
      });
    machine.sleep(pause);
  }
}
