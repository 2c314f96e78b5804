// A virtual machine: started, followed on its console, ended by a deadline. TCG only: KVM may be present and still
// not make progress in a nested machine, and TCG is the same everywhere.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Console } from './console.ts';
import { ended } from './process.ts';
import { connectQmp, type Qmp } from './qmp.ts';

export type MachineOptions = {
  kernel: string;
  initrd: string;
  append: string;
  /** MiB. */
  memory: number;
  /** Raw images; /dev/vda, /dev/vdb … in this order. */
  disks: readonly string[];
  cpus?: number;
  /** QEMU's name of the processor; `max` has 5-level paging. */
  cpu?: string;
  balloon?: boolean;
  vga?: boolean;
  /** Room for a processor and for memory that are put in while the machine runs. */
  hotplug?: boolean;
  /** Other processes of the host may map the machine's memory, as a device of theirs has to. */
  sharedMemory?: boolean;
  /** Puts in what there are no words for here, before the machine runs. */
  equip?: (qmp: Qmp) => Promise<void>;
  /** Seconds after which the machine is ended, whatever it does. */
  deadline: number;
};

export type Machine = {
  console: Console;
  qmp: Qmp;
  /** Resolves when QEMU has ended by itself (guest powered off), with the console complete. */
  finished: Promise<void>;
  /** Ends the machine if it still runs and removes its temporary files. */
  stop(): Promise<void>;
};

/** Seconds after a reset by which every kernel has said something. */
const silenceBound = 60;

/** Starts a machine. The caller stops it in every case. */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-qemu-'));
  const socket = join(directory, 'qmp');
  const cpus = options.cpus ?? 2;
  const args = [
    ...['-accel', 'tcg', '-cpu', options.cpu ?? 'qemu64'],
    ...['-smp', options.hotplug === true ? `${cpus},maxcpus=${cpus + 1}` : String(cpus)],
    ...['-m', `${options.memory}${options.hotplug === true ? `,slots=1,maxmem=${2 * options.memory}M` : ''}`],
    ...(options.sharedMemory === true
      ? [
          '-object',
          `memory-backend-memfd,id=ram,size=${options.memory}M,share=on`,
          '-numa',
          'node,memdev=ram',
        ]
      : []),
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-kernel', options.kernel, '-initrd', options.initrd, '-append', options.append],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-qmp', `unix:${socket},server=on,wait=off`],
    ...options.disks.flatMap((disk) => ['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`]),
    ...(options.balloon === true ? ['-device', 'virtio-balloon-pci'] : []),
    ...(options.vga === true ? ['-device', 'VGA'] : []),
    // It waits for the control socket, and for what comes through it.
    '-S',
  ];
  // The machine dies with its owner, also when that one is killed and the deadline below with it.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const console = new Console();
  let messages = '';
  let silence: NodeJS.Timeout | undefined;
  let heard = 0;
  child.stdout.setEncoding('latin1');
  child.stdout.on('data', (piece: string) => {
    heard = console.now();
    console.feed(piece);
  });
  child.stderr.on('data', (piece: Buffer) => {
    messages += piece.toString();
  });
  const deadline = setTimeout(() => {
    console.close(`the machine's deadline of ${options.deadline} s passed`);
    child.kill('SIGKILL');
  }, options.deadline * 1000);
  const finished = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      clearTimeout(deadline);
      console.close(`QEMU cannot be started (${cause.message})`);
      resolve();
    });
    // 'close' and not 'exit': the last lines of the console may still be in the pipe.
    child.once('close', (status) => {
      clearTimeout(deadline);
      clearTimeout(silence);
      console.close(
        `QEMU ended with status ${status}${messages === '' ? '' : `, saying ${messages.trim()},`}`,
      );
      resolve();
    });
  });
  let qmp: Qmp | undefined;
  // On a busy host it happens that the firmware is not there after a reset, and the processor runs through zeros.
  const onEvent = (name: string) => {
    if (name !== 'RESET') return;
    // The last words before the reset may be read only now.
    const began = console.now() + 1;
    clearTimeout(silence);
    silence = setTimeout(() => {
      if (heard < began) qmp?.execute('system_reset').catch(() => {});
    }, silenceBound * 1000);
  };
  const stop = async () => {
    clearTimeout(deadline);
    clearTimeout(silence);
    qmp?.close();
    if (child.pid !== undefined && !(await ended(child, 0))) {
      child.kill('SIGKILL');
      await finished;
    }
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    qmp = await Promise.race([
      connectQmp(socket, onEvent),
      finished.then(() => {
        throw console.error('QEMU did not start');
      }),
    ]);
    await options.equip?.(qmp);
    await qmp.execute('cont');
  } catch (error) {
    await stop();
    throw error;
  }
  return { console, qmp, finished, stop };
}
