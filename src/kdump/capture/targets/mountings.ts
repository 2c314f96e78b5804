import { mkdirSync } from 'node:fs';
import { KdumpError } from '../../../lib/errors.ts';
import type { FileSystemTarget, MountedTarget, VirtiofsTarget } from '../config.ts';
import type { Mounting } from './directory-target.ts';
import type { Place } from './place.ts';
import { waitForDevice } from './wait-for-device.ts';

/** A journal of a large file system may take minutes to be replayed. */
export const mountBound = 300;

/** A file system on a block device. */
export function onDevice(place: Place, { device, fstype, mountOptions }: FileSystemTarget): Mounting {
  const { machine, say } = place;
  return mountedByUs(place, device, () => {
    const found = waitForDevice(place, device);
    machine.promise(mountBound);
    machine.mount(found, machine.mountPoint, fstype, mountOptions);
    say(`mounted ${found} (${fstype})`);
  });
}

/** A directory that the host of a virtual machine shares. */
export function onVirtiofs(place: Place, { tag }: VirtiofsTarget): Mounting {
  const { machine, say } = place;
  return mountedByUs(place, tag, () => {
    machine.promise(mountBound);
    machine.mount(tag, machine.mountPoint, 'virtiofs', '');
    say(`mounted ${tag} (virtiofs)`);
  });
}

/** What somebody else has mounted, and unmounts. */
export function onMounted({ machine, say }: Place, { mountPoint }: MountedTarget): Mounting {
  return {
    name: mountPoint,
    mountPoint,
    reach() {
      if (!machine.isMounted(mountPoint))
        throw new KdumpError('not-mounted', `nothing is mounted on ${mountPoint}`, {
          fix: 'Let the initramfs mount the file system that is to take the dump.',
        });
      say(`${mountPoint} is mounted`);
    },
    leave() {},
  };
}

/** A mount of the capture's own; it may be there already, from a run before this one. */
export function mountedByUs(
  { machine, say }: Place,
  name: string,
  mount: () => void,
  isRemote = false,
): Mounting {
  const { mountPoint } = machine;
  return {
    name,
    mountPoint,
    isRemote,
    reach() {
      if (machine.isMounted(mountPoint)) return;
      mkdirSync(mountPoint, { recursive: true });
      mount();
    },
    leave(failed) {
      // What a server that is gone was sent is lost in any case.
      if (failed && isRemote) machine.unmountByForce(mountPoint);
      if (!machine.isMounted(mountPoint)) return;
      machine.unmount(mountPoint);
      say(`${name} is unmounted`);
    },
  };
}
