// The memory of a machine, from outside: read through QEMU's control socket, written through its gdb stub.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KdumpError } from '../../../src/lib/errors.ts';
import type { Machine } from './qemu.ts';

/** Bytes of a machine's physical memory, read while it is stopped. */
export async function readPhysical({ qmp }: Machine, address: number, length: number): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-memory-'));
  const filename = join(directory, 'memory');
  try {
    await qmp.execute('stop');
    await qmp.execute('pmemsave', { val: address, size: length, filename });
    await qmp.execute('cont');
    return readFileSync(filename);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const packet = /\$([^#]*)#[0-9a-f]{2}/;
/** Milliseconds for the whole conversation with the stub. */
const patience = 20_000;

/** Overwrites bytes of a machine's physical memory, behind the back of whatever runs in it. */
export async function writePhysical({ qmp }: Machine, address: number, bytes: Uint8Array): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-gdb-'));
  const socket = join(directory, 'gdb');
  try {
    const command = (line: string) => qmp.execute('human-monitor-command', { 'command-line': line });
    await command(`gdbserver unix:${socket},server=on,wait=off`);
    // The stub stops the machine when it is connected to, and lets it run on when it is left.
    await converse(socket, [
      'Qqemu.PhyMemMode:1',
      `M${address.toString(16)},${bytes.length.toString(16)}:${Buffer.from(bytes).toString('hex')}`,
      'D',
    ]);
    await command('gdbserver none');
    await qmp.execute('cont');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Sends packets of gdb's remote protocol, each of which must be answered by OK. */
function converse(path: string, packets: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const fail = (why: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new KdumpError('lab-gdb', `QEMU's gdb stub: ${why}`));
    };
    const timer = setTimeout(() => fail('no answer'), patience);
    const waiting = [...packets];
    let text = '';
    const send = () => {
      const next = waiting.shift();
      if (next === undefined) {
        clearTimeout(timer);
        socket.end(resolve);
        return;
      }
      const sum = [...next].reduce((total, letter) => total + letter.charCodeAt(0), 0) & 0xff;
      socket.write(`$${next}#${sum.toString(16).padStart(2, '0')}`);
    };
    socket.setEncoding('latin1');
    socket.on('connect', send);
    socket.on('error', (error) => fail(error.message));
    socket.on('data', (piece: string) => {
      text += piece;
      for (let answer = packet.exec(text); answer !== null; answer = packet.exec(text)) {
        text = text.slice(answer.index + answer[0].length);
        socket.write('+');
        // That the machine has stopped is told unasked.
        if (/^[ST]/.test(answer[1]!)) continue;
        if (answer[1] === 'OK') send();
        else fail(`answered ${answer[1]} after ${packets.length - waiting.length} packets`);
      }
    });
  });
}
