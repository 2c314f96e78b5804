// Raw ELF vmcores for comparisons: /proc/vmcore of a crash, copied byte by byte, kept in the cache.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cached, cachePath, contentHash } from './cache.ts';
import { crash } from './crash.ts';
import { guestSources } from './images.ts';
import { type KernelName, labKernel } from './kernels.ts';
import { check } from './process.ts';

/**
 * Path of the raw vmcore of a guest that had every kind of page in memory. Taken once for a kernel and a workload;
 * what collects afterwards does not matter to it.
 */
export async function rawVmcore(name: KernelName): Promise<string> {
  const memory = 512;
  const kernel = await labKernel(name);
  const key = contentHash([String(memory), ...(await guestSources())]);
  const directory = cachePath('vmcores');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${kernel.release}-${key}`, 'vmcore');
  const taken = await cached(dirname(path), async (incomplete) => {
    const result = await crash({ kernel: name, memory, collector: 'cp', workload: 'full' });
    try {
      const saved = result.dumpDirectory;
      if (saved === undefined || !existsSync(join(saved, 'vmcore'))) {
        throw result.console.error('the guest saved no whole vmcore');
      }
      await check('cp', ['-r', '--sparse=always', saved, incomplete]);
    } finally {
      result.remove();
    }
  });
  // Those of older kernels and workloads serve nobody any more.
  for (const other of readdirSync(directory)) {
    const old =
      other.startsWith(`${kernel.release}-`) && join(directory, other) !== taken && !other.includes('.');
    if (old) rmSync(join(directory, other), { recursive: true, force: true });
  }
  return path;
}
