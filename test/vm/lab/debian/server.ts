// A guest that the other one saves to: sshd for a user `kdump` (the client's root has the key, and knows the server's),
// and an NFS export. They are on the directories /srv/ssh and /srv/nfs of its root file system.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KernelName } from '../kernels.ts';
import { type NetworkEnd, setLink } from '../network.ts';
import { type DebianGuest, startDebian } from './guest.ts';

export type ServerOptions = {
  kernel?: KernelName;
  /** Shell commands before the services start: other keys, smaller disks, other exports. */
  prepare?: string;
  /** Sizes in MiB of more disks, for `prepare` to use. */
  disks?: readonly number[];
  memory?: number;
  deadline?: number;
};

export type Server = {
  readonly guest: DebianGuest;
  /** What `startDebian` takes to put a guest on this server's network. */
  readonly network: NetworkEnd;
  /** The cable: without it, the client hears nothing more and is told nothing. */
  unplug(): Promise<void>;
  plug(): Promise<void>;
  /** The server stands still, with every connection open, and goes on. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Its reset button: connections, and what was not on its disk, are lost. Waits until it serves again. */
  reset(): Promise<void>;
  /** Shuts the server down; its files can be read then, by `guest.read`. */
  stop(): Promise<void>;
  remove(): Promise<void>;
};

const script = `
systemctl start ssh nfs-server || finish "failed: the servers do not start"
say "serving"
sleep infinity
`;

const serving = /\blab: serving/;
/** Seconds for a boot, beside other guests. */
const patience = 360;
/** Seconds for a shutdown, which systemd begins when it sees the power button. */
const shutdown = 60;

/** Starts a server, and waits until it serves. The caller removes it in every case. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-network-'));
  const socket = join(directory, 'socket');
  let started: DebianGuest | undefined;
  const remove = async () => {
    await started?.remove();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    started = await startDebian({
      script: `${options.prepare ?? ''}\n${script}`,
      memory: options.memory ?? 512,
      deadline: options.deadline ?? 600,
      network: { role: 'server', socket },
      ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
      ...(options.disks === undefined ? {} : { disks: options.disks }),
    });
    await started.says(serving, patience);
  } catch (error) {
    await remove();
    throw error;
  }
  const guest = started;
  const { qmp, finished } = guest.machine;
  return {
    guest,
    network: { role: 'client', socket },
    unplug: () => setLink(qmp, false),
    plug: () => setLink(qmp, true),
    freeze: async () => {
      await qmp.execute('stop');
    },
    thaw: async () => {
      await qmp.execute('cont');
    },
    reset: async () => {
      await qmp.execute('system_reset');
      await guest.says(serving, patience);
    },
    stop: async () => {
      await qmp.execute('system_powerdown');
      const late = new Promise<void>((resolve) => setTimeout(resolve, shutdown * 1000).unref());
      await Promise.race([finished, late]);
      await guest.powerCut();
    },
    remove,
  };
}
