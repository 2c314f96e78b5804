import { describe, expect, test } from 'vitest';
import type { KernelCore } from '../../src/kernel/core.ts';
import { describeState, readTasks } from '../../src/kernel/tasks.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeCore } from '../helpers/kernel.ts';

test.each([
  [0, 'RU', 'TASK_RUNNING'],
  [1, 'IN', 'TASK_INTERRUPTIBLE'],
  [2, 'UN', 'TASK_UNINTERRUPTIBLE'],
  [0x102, 'UN', 'TASK_UNINTERRUPTIBLE'],
  [0x402, 'ID', 'TASK_IDLE'],
  [0x2001, 'IN', 'TASK_INTERRUPTIBLE'],
  [0x20, 'ZO', 'EXIT_ZOMBIE'],
  [0x80 | 0x20, 'ZO', 'EXIT_ZOMBIE'],
  [0x10_0000, '??', '0x100000'],
])('state %i is %s', (bits, code, name) => {
  expect(describeState(bits)).toEqual({ code, name });
});

const start = 0xffff_8000_0000_0000n;
/** Task i is in slot i, its signal_struct in the same place of the next page. */
const task = (index: number): bigint => start + BigInt(index * 64);
const signalOf = (index: number): bigint => start + 0x1000n + BigInt(index * 64);

/** Tasks with tasks at 0, thread_node at 16, pid, tgid and signal behind; processes 0, 1 and 2, of which 1 has thread 3. */
function kernel(change?: (bytes: Buffer) => void, lost?: ReadonlySet<number>): KernelCore {
  const types = new BtfBuilder();
  const [int, long] = [types.int('int', 4), types.int('unsigned long', 8)];
  const head = types.struct('list_head', 16, [
    ['next', long, 0],
    ['prev', long, 64],
  ]);
  const signal = types.struct('signal_struct', 16, [['thread_head', head, 0]]);
  types.struct('task_struct', 64, [
    ['tasks', head, 0],
    ['thread_node', head, 128],
    ['pid', int, 256],
    ['tgid', int, 288],
    ['signal', types.pointer(signal), 320],
  ]);
  const bytes = Buffer.alloc(8192);
  const link = (heads: readonly bigint[]): void => {
    for (const [i, at] of heads.entries()) {
      const next = heads[(i + 1) % heads.length]!;
      bytes.writeBigUInt64LE(next, Number(at - start));
      bytes.writeBigUInt64LE(at, Number(next - start) + 8);
    }
  };
  for (const [index, tgid] of [0, 1, 2, 1].entries()) {
    const at = index * 64;
    bytes.writeInt32LE(index, at + 32);
    bytes.writeInt32LE(tgid, at + 36);
    bytes.writeBigUInt64LE(signalOf(tgid), at + 40);
  }
  link([task(0), task(1), task(2)]);
  link([signalOf(0), task(0) + 16n]);
  link([signalOf(1), task(1) + 16n, task(3) + 16n]);
  link([signalOf(2), task(2) + 16n]);
  change?.(bytes);
  return fakeCore({
    pieces: [{ vaddr: start, bytes }],
    symbols: { init_task: task(0) },
    types,
    ...(lost && { lost }),
  });
}

describe('the list of tasks', () => {
  const pids = (core: KernelCore): unknown[] => readTasks(core, []).tasks.map(({ pid }) => pid);

  test('processes in their order, threads behind the first of each', () => {
    expect(pids(kernel())).toEqual([0, 1, 3, 2]);
    expect(readTasks(kernel(), []).damage).toEqual([]);
  });

  test('a broken link: the rest comes from the other end, and it is said', () => {
    const core = kernel((bytes) => bytes.writeBigUInt64LE(0x10n, 0));
    expect(pids(core).sort()).toEqual([0, 1, 2, 3]);
    expect(readTasks(core, []).damage).toMatchObject([{ reason: 'missing' }]);
  });

  test('lists of threads that the dump lacks: the first of each is there', () => {
    const core = kernel(undefined, new Set([4096]));
    expect(pids(core)).toEqual([0, 1, 2]);
    expect(readTasks(core, []).damage.length).toBe(2);
  });

  test('a task that runs is one, wherever it is linked', () => {
    const core = kernel((bytes) => bytes.writeBigUInt64LE(task(0), 0));
    const cpus = [{ cpu: 5, task: task(3), idle: undefined, registers: undefined }];
    const found = readTasks(core, cpus).tasks.find(({ address }) => address === task(3));
    expect(found?.onCpu).toBe(5);
  });
});
