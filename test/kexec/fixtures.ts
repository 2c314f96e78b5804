import { fileURLToPath } from 'node:url';
import { probeBzImage } from '../../src/formats/bzimage.ts';
import { type ImageContent, memoryContent } from '../../src/kexec/image/content.ts';
import type { InitrdImage, KernelImage } from '../../src/kexec/image/kernel-image.ts';
import { type MachineFacts, readMachine } from '../../src/kexec/machine.ts';
import { type LoadFacts, type LoadPlan, planLoad } from '../../src/kexec/plan.ts';
import { type LoadRequest, plainPlacing } from '../../src/kexec/request.ts';
import type { SegmentPlan } from '../../src/kexec/segments/plan-segments.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { syntheticHead, syntheticSize } from './synthetic-kernel.ts';

/** Trees that stand for machines. */
export const fixtureRoot = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/kexec/${name}`, import.meta.url));

export const machineOf = (name: string): MachineFacts => readMachine(fixtureRoot(name));

/** Content of so many bytes, none of which can be read. */
export const unreadable = (size: number): ImageContent => ({
  ...memoryContent(new Uint8Array(0), 'x'),
  size,
});

/** Where files are opened from when a test has none. */
const notOpened = (): never => {
  throw new Error('nothing is opened here');
};

export function kernelFile(...head: Parameters<typeof syntheticHead>): KernelImage {
  const path = '/boot/vmlinuz-6.1.0-56-cloud-amd64';
  return {
    path,
    size: syntheticSize,
    wrapping: [],
    kind: 'bzImage',
    bzImage: probeBzImage(syntheticHead(...head), syntheticSize, path),
    content: unreadable(syntheticSize),
    uki: null,
    openFile: notOpened,
    close: () => {},
  };
}

/** A kernel that its ELF header alone describes. */
export const vmlinuxFile: KernelImage = {
  ...kernelFile(),
  path: '/boot/vmlinux',
  kind: 'vmlinux',
  bzImage: null,
};

export function initrdFile(size = 3_000_000, path = '/boot/capture.img'): InitrdImage {
  return { path, size, content: unreadable(size), openFile: notOpened, close: () => {} };
}

/** What placing comes to in these tests: two segments that a test can tell. */
export function segmentPlan(commandLine: string): SegmentPlan {
  return {
    entry: 0x1f000000,
    segments: [
      { name: 'kernel', bytes: Uint8Array.of(1, 2, 3), mem: 0x1e000000, memsz: 0x1000, verified: true },
      { name: 'purgatory', bytes: new Uint8Array(16), mem: 0x1f000000, memsz: 0x3000, verified: false },
    ],
    commandLine: `${commandLine} elfcorehdr=503808K`,
    e820: [{ start: 0x13000000, end: 0x1f000000, type: 'ram' }],
    digest: '00'.repeat(32),
    warnings: [],
  };
}

export const crashRequest: LoadRequest = {
  type: 'crash',
  append: 'nr_cpus=1 panic=-1',
  reuseCommandLine: false,
  debug: false,
  noCma: false,
  forceDtb: false,
  placing: plainPlacing,
};

export type Wanted = Partial<LoadRequest> & {
  choice?: 'auto' | 'kexec_file_load' | 'kexec_load';
  placingOptions?: readonly string[];
  fileOptions?: readonly string[];
};

export const wishFor = ({
  choice = 'auto',
  placingOptions = [],
  fileOptions = [],
  ...request
}: Wanted = {}) => ({
  request: { ...crashRequest, ...request },
  syscalls: { choice, placingOptions, fileOptions },
});

export const factsWith = (facts: Partial<LoadFacts> = {}): LoadFacts => ({
  machine: machineOf('vm-512m'),
  kernel: kernelFile(),
  initrd: initrdFile(),
  place: segmentPlan,
  ...facts,
});

/** The plan for a load that nothing speaks against, with what a test wants to be different. */
export const planWith = (wanted: Wanted = {}, facts: Partial<LoadFacts> = {}): LoadPlan =>
  planLoad(wishFor(wanted), factsWith(facts));

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
