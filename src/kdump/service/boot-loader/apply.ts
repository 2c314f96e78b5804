import { mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeFileDurably } from '../../../system/durable.ts';
import { findProgram, runOrThrow } from '../../../system/processes.ts';
import type { BootLoaderPlan } from './plan.ts';

/** Seconds for a program that writes the boot loader's configuration; some look at every disk. */
const programBound = 600;

/** Runs a program to its end. @throws KdumpError when it fails */
export type RunProgram = (program: string, args: readonly string[]) => void;

export const runProgram: RunProgram = (program, args) =>
  void runOrThrow(findProgram(program) ?? program, args, { timeout: programBound });

/**
 * Carries a plan out: each file is replaced as a whole, then the programs run.
 * @throws KdumpError of a program that fails, or a system error of writing
 */
export function applyBootLoaderPlan(plan: BootLoaderPlan, root = '/', run: RunProgram = runProgram): void {
  for (const { path, before, after } of plan.edits) {
    const file = join(root, path);
    if (before === null) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileDurably(file, after, 0o644);
    } else {
      // GRUB's variables are often a link to where the firmware looks.
      const real = realpathSync(file);
      writeFileDurably(real, after, statSync(real).mode & 0o7777);
    }
  }
  for (const [program, ...args] of plan.commands) run(program, args);
}
