// QEMU's control socket: one JSON object a line. https://www.qemu.org/docs/master/interop/qmp-spec.html
import { connect, type Socket } from 'node:net';
import { KdumpError } from '../../../src/lib/errors.ts';

export type Qmp = {
  /** Runs a command and returns what it returns. */
  execute(command: string, args?: Record<string, unknown>): Promise<unknown>;
  close(): void;
};

type Reply = { return?: unknown; error?: { desc: string }; id?: number; event?: string };

const replyTime = 30_000;

/**
 * Connects to the socket of a QEMU that has been started just now.
 * @param onEvent is told the name of every event
 * @throws KdumpError `lab-qmp` when it does not appear in 20 s.
 */
export async function connectQmp(path: string, onEvent: (name: string) => void = () => {}): Promise<Qmp> {
  const socket = await dial(path);
  const pending = new Map<number, (reply: Reply) => void>();
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (piece: string) => {
    const lines = (text + piece).split('\n');
    text = lines.pop()!;
    for (const line of lines) {
      if (line.trim() === '') continue;
      const reply = JSON.parse(line) as Reply;
      // The greeting and events carry no id.
      if (reply.id !== undefined) pending.get(reply.id)?.(reply);
      if (reply.event !== undefined) onEvent(reply.event);
    }
  });
  const closed = () => {
    for (const finish of pending.values()) finish({ error: { desc: 'QEMU has ended' } });
  };
  socket.on('error', closed);
  socket.on('close', closed);

  let lastId = 0;
  const execute = (command: string, args: Record<string, unknown> = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      const finish = (reply: Reply) => {
        clearTimeout(timer);
        pending.delete(id);
        if (reply.error === undefined) resolve(reply.return);
        else reject(new KdumpError('lab-qmp', `QEMU command ${command}: ${reply.error.desc}`));
      };
      const timer = setTimeout(() => finish({ error: { desc: 'no reply' } }), replyTime);
      pending.set(id, finish);
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  await execute('qmp_capabilities');
  return { execute, close: () => socket.destroy() };
}

async function dial(path: string): Promise<Socket> {
  let cause: unknown;
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(path);
        socket.once('connect', () => {
          socket.off('error', reject);
          resolve(socket);
        });
        socket.once('error', reject);
      });
    } catch (error) {
      cause = error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new KdumpError('lab-qmp', `QEMU's control socket ${path} does not answer`, { cause });
}
