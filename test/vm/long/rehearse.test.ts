// A rehearsal in a real virtual machine, as an administrator calls it: the image of mkdumprd, loaded and crashed into by
// kdumpctl's own guest.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import { captureCommandLine } from '../../../src/kdump/service/command-line.ts';
import { type ArmedRecord, updateState } from '../../../src/kdump/service/state.ts';
import type { Verdict } from '../../../src/kdump/trial/rehearsal/verdict.ts';
import { bundle, captureImage } from '../lab/images.ts';
import { type LabKernel, labKernel } from '../lab/kernels.ts';
import { run } from '../lab/process.ts';

let directory: string;
let kernel: LabKernel;
/** A machine that was armed with this kernel and image. */
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-rehearse-'));
  kernel = await labKernel('6.12');
  const path = await captureImage(kernel, {
    target: '/dev/vda',
    collector: 'makedumpfile -l --message-level 7 -d 31',
  });
  const { commandLine } = readSettings('/nowhere').settings;
  const machine = { running: null, bootCpuApicid: 0, watchdogs: [], graviton: false };
  const armed: ArmedRecord = {
    ...{ at: '2026-01-01T00:00:00Z', bootId: null, setup: '', since: '2026-01-01T00:00:00Z' },
    kernel: { path: kernel.vmlinuz, release: kernel.release, sha256: '' },
    image: { path, hash: '', release: kernel.release, bytes: 0 },
    kexecArgs: ['-s'],
    commandLine: captureCommandLine({ ...commandLine, base: 'quiet' }, 'own', machine),
    inputs: [],
    saves: null,
  };
  updateState(directory, { armed });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function rehearse(memory: string): Promise<{ status: number | null; verdict: Verdict }> {
  const { status, stdout, stderr } = await run(
    process.execPath,
    [
      ...[await bundle('kdumpctl'), 'rehearse', '--json', '--memory', memory, '--timeout', '400'],
      ...['--root', kernel.modulesRoot, '--state', directory],
    ],
    { timeout: 860_000 },
  );
  if (stdout === '') throw new Error(stderr);
  return { status, verdict: JSON.parse(stdout) as Verdict };
}

test('passes in enough memory, and says how much it took', async () => {
  const { status, verdict } = await rehearse('192M');
  expect(verdict).toMatchObject({
    passed: true,
    notProven: [],
    report: { state: 'complete', panic: expect.any(String) },
  });
  expect(status).toBe(0);
  expect(verdict.memory!.lowest).toBeGreaterThan(0);
  expect(verdict.memory!.total).toBeLessThan(192 << 20);
});

test.each([
  ['for the kernel to be loaded', '64M', /crashkernel= has reserved 64 MiB/],
  ['for the image to be unpacked', '96M', /memory/],
])('fails in too little memory %s, and says so', async (_, memory, why) => {
  const { status, verdict } = await rehearse(memory);
  expect(verdict).toMatchObject({ passed: false, why: expect.stringMatching(why) });
  expect(status).toBe(1);
});
