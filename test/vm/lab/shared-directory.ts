// A directory of the host in a guest, by virtiofs: virtiofsd serves it, for as long as the machine runs.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KdumpError } from '../../../src/lib/errors.ts';
import type { Qmp } from './qmp.ts';

/** The name by which the guest knows it. */
export const sharedTag = 'SHARED';
/** In Debian 12 it is part of qemu-system-common, from 13 on a package of its own. */
const places = ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd'];
/** Milliseconds for it to make its socket. */
const patience = 10_000;

/** Gives a machine the directory. virtiofsd ends by itself when the machine does. */
export async function shareDirectory(qmp: Qmp, directory: string): Promise<void> {
  const program = places.find((path) => existsSync(path));
  if (program === undefined)
    throw new KdumpError('lab-program', 'virtiofsd is not installed', { fix: 'apt-get install virtiofsd' });
  const socket = join(mkdtempSync(join(tmpdir(), 'kdump-virtiofs-')), 'socket');
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', program, `--socket-path=${socket}`, '-o', `source=${directory}`],
    { stdio: 'ignore' },
  );
  for (const until = performance.now() + patience; !existsSync(socket); await sleep(50))
    if (child.exitCode !== null || performance.now() > until)
      throw new KdumpError('lab-program', `${program} did not start`);
  const addr = { type: 'unix', data: { path: socket } };
  const backend = { type: 'socket', data: { addr, server: false } };
  await qmp.execute('chardev-add', { id: 'shared', backend });
  await qmp.execute('device_add', {
    driver: 'vhost-user-fs-pci',
    id: 'shared',
    chardev: 'shared',
    tag: sharedTag,
  });
}
