// Crash kernels that we placed ourselves (kexec_load) or took out of a wrapping: armed, crashed, captured; and a purgatory
// that refuses what is not what was loaded.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collect } from '../../src/dump/collect.ts';
import { FileBytes } from '../../src/dump/input/bytes.ts';
import { ElfSource } from '../../src/dump/input/elf-source.ts';
import { collectRequest } from '../../src/dump/request.ts';
import { captureImage } from './lab/images.ts';
import { type CrashResult, crash, type KernelName, labKernel, peer } from './lab/lab.ts';
import { readPhysical, writePhysical } from './lab/physical-memory.ts';
import type { Machine } from './lab/qemu.ts';
import { expectSameDump } from './lab/same-dump.ts';
import { type Wrapping, wrappedKernel } from './lab/wrapped-kernel.ts';

/** What a crash kernel that is loaded by kexec_load uses itself, and the purgatory saves before: 640 KiB, 160 pages. */
const lowMemory = 640 * 1024;

type Road = { kernel: KernelName; arm: string; wrapping?: Wrapping; workload?: 'full' };
const roads: readonly Road[] = [
  { kernel: '6.1', arm: '-c', workload: 'full' },
  { kernel: '6.12', arm: '-c', workload: 'full' },
  { kernel: '6.12', arm: '-s', wrapping: 'uki' },
  { kernel: '6.1', arm: '-s', wrapping: 'zstd' },
  { kernel: '6.12', arm: '-c', wrapping: 'lz4' },
  { kernel: '6.1', arm: '-c', wrapping: 'vmlinux' },
];

describe.each(roads)('$kernel, armed by $arm, $wrapping', ({ kernel: name, arm, wrapping, workload }) => {
  let result: CrashResult;
  let vmcore: string;
  let low: Buffer;

  beforeAll(async () => {
    const kernel = await labKernel(name);
    result = await crash({
      kernel: name,
      arm,
      collector: 'cp',
      ...(wrapping === undefined ? {} : { captureKernel: await wrappedKernel(kernel, wrapping) }),
      ...(workload === undefined ? {} : { workload }),
      whenArmed: async (machine) => {
        low = await readPhysical(machine, 0, lowMemory);
      },
    });
    if (result.dumpDirectory === undefined) throw result.console.error('there is no dump');
    vmcore = join(result.dumpDirectory, 'vmcore');
  });
  afterAll(() => result?.remove());

  test('the dump filters to what the C tool makes of it', async () => {
    const theirs = await peer('makedumpfile');
    const at = (file: string) => join(result.dumpDirectory!, file);
    for (const level of [1, 31]) {
      collect(
        collectRequest(
          [vmcore],
          { kind: 'file', path: at('ours'), overwrite: true },
          { dumpLevels: [level], compression: 'lzo' },
        ),
        { progress: () => {}, message: () => {} },
      );
      const told = await theirs.run(['-l', '-d', `${level}`, '-f', vmcore, at('theirs')]);
      expect(told, told.stderr).toMatchObject({ status: 0 });
      expectSameDump(at('ours'), at('theirs'), partialFrames(vmcore));
    }
  });

  // kexec_file_load leaves the first MiB out.
  test.runIf(arm === '-c')('has the low memory of the crashed kernel, not of the one that captured', () => {
    const source = new ElfSource(new FileBytes(vmcore));
    const page = Buffer.alloc(4096);
    let [compared, different] = [0, 0];
    for (let address = 0; address + 4096 <= lowMemory; address += 4096) {
      if (source.readInto(address, page) !== undefined) continue;
      compared++;
      if (!page.equals(low.subarray(address, address + 4096))) different++;
    }
    source.close();
    expect(compared).toBeGreaterThan(150);
    // Its trampolines, which it writes to until it dies.
    expect(different).toBeLessThan(4);
  });

  test('describes every CPU that there was', () => {
    const source = new ElfSource(new FileBytes(vmcore));
    expect(source.cpuCount).toBe(2);
    source.close();
  });

  test('says what happened', () => {
    const log = readFileSync(join(result.dumpDirectory!, 'vmcore-dmesg.txt'), 'utf8');
    expect(log).toContain('Kernel panic - not syncing: sysrq triggered crash');
  });
});

/** Frames that begin or end the machine's memory somewhere in their middle, as 640 KiB less the BIOS's part does. */
function partialFrames(path: string): number[] {
  const source = new ElfSource(new FileBytes(path));
  const borders = source.ranges.flatMap(({ start, end }) => [start, end]);
  source.close();
  return [...new Set(borders.filter((at) => at % 4096 !== 0).map((at) => Math.floor(at / 4096)))];
}

/** Where the memory for the crash kernel is, as 6.1 says when it has reserved it. */
function reservedMemory({ console }: Machine): { start: number; size: number } {
  const found = /Reserving (\d+)MB of memory at (\d+)MB for crashkernel/.exec(console.text());
  if (found === null) throw console.error('the kernel did not say where it reserved memory');
  return { start: Number(found[2]) * 2 ** 20, size: Number(found[1]) * 2 ** 20 };
}

/** Changes the byte behind the capture image in the machine's memory: nothing uses it, but it is loaded. */
async function spoil(machine: Machine, image: string): Promise<void> {
  const { start, size } = reservedMemory(machine);
  const memory = await readPhysical(machine, start, size);
  const head = readFileSync(image).subarray(0, 4096);
  const at = memory.indexOf(head);
  expect(at, 'the capture image in memory').toBeGreaterThan(0);
  const length = statSync(image).size;
  expect(length % 4096, 'the image ends within a page').toBeGreaterThan(0);
  await writePhysical(machine, start + at + length, Uint8Array.of(0x55));
}

describe('a byte of what is loaded has changed before the crash', () => {
  const spoiled = async (arm: string): Promise<CrashResult> => {
    const collector = 'makedumpfile -l --message-level 7 -d 31';
    const image = await captureImage(await labKernel('6.1'), { target: '/dev/vda', collector });
    return crash({
      kernel: '6.1',
      arm,
      collector,
      whenArmed: (machine) => spoil(machine, image),
    });
  };

  test('the purgatory refuses, says so, and the machine reboots', async () => {
    const result = await spoiled('-c');
    try {
      const refusal = 'purgatory: loaded segments have changed (SHA-256); the kernel is not started';
      expect(result.console.text()).toContain(refusal);
      expect(result.console.text()).toMatch(/expected: [0-9a-f]{64}\n\s*found: {4}[0-9a-f]{64}/);
      expect(result.dumpDirectory).toBeUndefined();
      expect(result.console.find(/\blab: rebooted after the crash/)).toBeDefined();
    } finally {
      result.remove();
    }
  });

  test('with --no-checks it starts all the same', async () => {
    const result = await spoiled('-c -i');
    try {
      expect(result.dumpDirectory).toBeDefined();
    } finally {
      result.remove();
    }
  });
});
