import { describe, expect, test } from 'vitest';
import type { KernelCore } from '../../src/kernel/core.ts';
import { panicCpu, readCpus } from '../../src/kernel/cpus.ts';
import { registerNames } from '../../src/kernel/registers.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeCore } from '../helpers/kernel.ts';

const start = 0xffff_8000_0000_0000n;
/** Areas of the CPUs, from here on. */
const area = (cpu: number): number => 0x1000 * (cpu + 1);

/** NT_PRSTATUS with a value in every register. */
function note(value: number): Buffer {
  const bytes = Buffer.alloc(12 + 8 + 336);
  bytes.writeUInt32LE(5, 0);
  bytes.writeUInt32LE(336, 4);
  bytes.writeUInt32LE(1, 8);
  bytes.write('CORE', 12, 'latin1');
  for (const i of registerNames.keys()) bytes.writeBigUInt64LE(BigInt(value + i), 20 + 112 + i * 8);
  return bytes;
}

/**
 * Three possible CPUs of which 0 and 2 are online; each has in its area at 0 its current task, at 8 the run queue, at 64
 * its note.
 * @param saved CPUs with a note
 */
function kernel(saved: readonly number[], hot: boolean, crashed: number): KernelCore {
  const types = new BtfBuilder();
  const long = types.int('unsigned long', 8);
  types.struct('cpumask', 8, [['bits', types.array(long, 1), 0]]);
  types.struct('rq', 16, [
    ['idle', long, 0],
    ['curr', long, 64],
  ]);
  if (hot) types.struct('pcpu_hot', 16, [['current_task', long, 0]]);
  const bytes = Buffer.alloc(0x5000);
  bytes.writeBigUInt64LE(0b111n, 0);
  bytes.writeBigUInt64LE(0b101n, 8);
  bytes.writeInt32LE(crashed, 16);
  bytes.writeBigUInt64LE(64n, 24);
  for (const cpu of [0, 1, 2]) {
    bytes.writeBigUInt64LE(start + BigInt(area(cpu)), 32 + cpu * 8);
    bytes.writeBigUInt64LE(BigInt(0x100 + cpu), area(cpu));
    bytes.writeBigUInt64LE(BigInt(0x200 + cpu), area(cpu) + 8);
    if (saved.includes(cpu)) note(cpu * 1000).copy(bytes, area(cpu) + 64);
  }
  return fakeCore({
    pieces: [{ vaddr: start, bytes }],
    symbols: {
      __cpu_possible_mask: start,
      __cpu_online_mask: start + 8n,
      panic_cpu: start + 16n,
      crash_notes: start + 24n,
      __per_cpu_offset: start + 32n,
      [hot ? 'pcpu_hot' : 'current_task']: 0n,
      runqueues: 8n,
    },
    types,
  });
}

describe('CPUs', () => {
  test.each([true, false])('with their tasks and registers (pcpu_hot: %s)', (hot) => {
    const cpus = readCpus(kernel([0, 2], hot, 2), undefined);
    expect(cpus.map(({ cpu, task, idle }) => [cpu, task, idle])).toEqual([
      [0, 0x100n, 0x200n],
      [2, 0x102n, 0x202n],
    ]);
    expect(cpus.map(({ registers }) => registers)).toMatchObject([
      { r15: 0n, rip: 16n },
      { r15: 2000n, rip: 2016n },
    ]);
  });

  test('one that did not answer has no registers; one that is offline but answered is there', () => {
    expect(
      readCpus(kernel([0, 1], false, 0), undefined).map(({ cpu, registers }) => [
        cpu,
        registers === undefined,
      ]),
    ).toEqual([
      [0, false],
      [1, false],
      [2, true],
    ]);
  });

  test('the notes of the file are theirs when the kernel saved none', () => {
    const notes = Buffer.concat([note(5), note(7)]);
    const cpus = readCpus(kernel([], false, -1), notes);
    expect(cpus.map(({ registers }) => registers)).toMatchObject([{ r15: 5n }, { r15: 7n }]);
  });

  test('the one that panicked; none when nothing did', () => {
    const of = (crashed: number) => {
      const core = kernel([0, 2], false, crashed);
      return panicCpu(core, readCpus(core, undefined));
    };
    expect(of(2)).toBe(2);
    expect(of(-1)).toBeUndefined();
  });
});
