// Fixture trees of test/fixtures/kexec that are copies of lab guests: boots each guest and takes its tree anew. The
// goldens beside them are then for vitest -u. Usage: node scripts/run-ts.mjs test/vm/lab/fixture-tree.ts [NAME…]
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { describeError, exitCodeOf, KdumpError } from '../../../src/lib/errors.ts';
import { withTemporaryDirectory } from './cache.ts';
import { runGuest } from './guest.ts';
import { labFile, repository } from './images.ts';
import { type KernelName, labKernel } from './kernels.ts';

type Machine = { kernel: KernelName; memory: number; cpus: number; append: string };

const machines: Readonly<Record<string, Machine>> = {
  'lab-1g': { kernel: '6.1', memory: 1024, cpus: 2, append: 'crashkernel=192M' },
  'lab-6g-high': { kernel: '6.12', memory: 6144, cpus: 4, append: 'crashkernel=256M,high' },
};

const script = `
node /disk/lab/fixture-files.mjs /disk/results 2>/disk/error || finish "failed: $(tail -n 5 /disk/error)"
finish "finished"
`;

async function takeTree(name: string, { kernel, ...machine }: Machine): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const program = join(directory, 'fixture-files.mjs');
    await build({
      entryPoints: [labFile('guest/fixture-files.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20.19',
      logLevel: 'warning',
    });
    const guest = await runGuest({
      ...machine,
      kernel: await labKernel(kernel),
      script,
      files: { 'lab/fixture-files.mjs': program },
      deadline: 120,
    });
    try {
      for (const part of ['proc', 'sys']) {
        const target = repository('test/fixtures/kexec', name, part);
        rmSync(target, { recursive: true, force: true });
        cpSync(join(guest.results, part), target, { recursive: true });
      }
    } finally {
      guest.remove();
    }
  });
}

try {
  const names = process.argv.slice(2);
  for (const name of names.length > 0 ? names : Object.keys(machines)) {
    const machine = machines[name];
    if (machine === undefined)
      throw new KdumpError('usage', `no machine ${name}: there are ${Object.keys(machines).join(', ')}`);
    await takeTree(name, machine);
  }
} catch (error) {
  console.error(describeError(error));
  process.exitCode = exitCodeOf(error);
}
