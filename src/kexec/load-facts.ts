import { randomBytes } from 'node:crypto';
import { KdumpError } from '../lib/errors.ts';
import {
  type InitrdImage,
  initrdFrom,
  type KernelImage,
  openInitrd,
  openKernel,
} from './image/kernel-image.ts';
import { readLayout } from './layout/read-layout.ts';
import { readMachine } from './machine.ts';
import type { LoadFacts } from './plan.ts';
import type { LoadRequest } from './request.ts';
import { restated } from './restate.ts';
import { planSegments } from './segments/plan-segments.ts';

const seedBytes = 32;

/**
 * Reads what a load needs: the machine below `root`, the kernel, the initrd (a unified kernel image's own when none is
 * given). Where things go is only worked out when it is asked for.
 * @param seed for the new kernel's random numbers; a plan that is only looked at has zeros, so that it is always the same.
 * @throws KdumpError as openKernel, openInitrd and readMachine.
 */
export function readLoadFacts(
  root: string,
  kernelPath: string,
  initrdPath: string | null,
  request: LoadRequest,
  seed: 'random' | 'zeros' = 'random',
): LoadFacts {
  const kernel = openAny(kernelPath);
  let initrd: InitrdImage | null;
  try {
    initrd = initrdPath === null ? initrdOf(kernel) : openInitrd(initrdPath);
  } catch (error) {
    kernel.close();
    throw error;
  }
  return {
    kernel,
    initrd,
    machine: readMachine(root),
    place: (commandLine) =>
      planSegments({
        request,
        kernel,
        initrd: initrd?.content ?? null,
        commandLine,
        layout: readLayout(root),
        randomSeed: seed === 'random' ? randomBytes(seedBytes) : new Uint8Array(seedBytes),
      }),
  };
}

/** A file that is no kernel at all is refused in kexec-tools' words, which scripts look for. */
function openAny(path: string): KernelImage {
  try {
    return openKernel(path);
  } catch (error) {
    if (!(error instanceof KdumpError) || error.code !== 'not-a-kernel') throw error;
    const why = error.message.startsWith(`${path}: `) ? error.message.slice(path.length + 2) : error.message;
    throw restated(error, `Cannot determine the file type of ${path}: ${why}`, error.facts);
  }
}

/** The initrd that a unified kernel image carries. */
function initrdOf({ uki }: KernelImage): InitrdImage | null {
  return uki === null || uki.initrd === null ? null : initrdFrom(uki.initrd);
}
