import { fileURLToPath } from 'node:url';
import { probeBzImage } from '../../src/formats/bzimage.ts';
import type { KernelFile } from '../../src/kexec/files.ts';
import { type MachineFacts, readMachine } from '../../src/kexec/machine.ts';
import { type LoadFacts, type LoadPlan, type LoadRequest, planLoad } from '../../src/kexec/plan.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { syntheticHead, syntheticSize } from './synthetic-kernel.ts';

/** Trees that stand for machines. */
export const fixtureRoot = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/kexec/${name}`, import.meta.url));

export const machineOf = (name: string): MachineFacts => readMachine(fixtureRoot(name));

export function kernelFile(...head: Parameters<typeof syntheticHead>): KernelFile {
  const path = '/boot/vmlinuz-6.1.0-56-cloud-amd64';
  return { path, size: syntheticSize, image: probeBzImage(syntheticHead(...head), syntheticSize, path) };
}

export const crashRequest: LoadRequest = {
  type: 'crash',
  append: 'nr_cpus=1 panic=-1',
  reuseCommandLine: false,
  debug: false,
};

/** The plan for a load that nothing speaks against, with what a test wants to be different. */
export function planWith(request: Partial<LoadRequest> = {}, facts: Partial<LoadFacts> = {}): LoadPlan {
  return planLoad(
    { ...crashRequest, ...request },
    {
      machine: machineOf('vm-512m'),
      kernel: kernelFile(),
      initrd: { path: '/boot/capture.img', size: 3_000_000 },
      ...facts,
    },
  );
}

/** The KdumpError that a function throws. */
export function errorOf(run: () => unknown): KdumpError {
  try {
    run();
  } catch (error) {
    if (error instanceof KdumpError) return error;
    throw error;
  }
  throw new Error('no error was thrown');
}
