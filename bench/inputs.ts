// What the collectors are compared on. Built once and kept in the lab's cache; see bench/README.md for what they hold.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { cached, cachePath, contentHash } from '../test/vm/lab/cache.ts';
import { crash } from '../test/vm/lab/crash.ts';
import { kexecProgram } from '../test/vm/lab/images.ts';
import { labKernel } from '../test/vm/lab/kernels.ts';
import { check } from '../test/vm/lab/process.ts';
import { writeFilterVmcore, writeSparseVmcore } from './synthetic.ts';

export const inputNames = ['real', 'sparse-64g', 'filter-1t'] as const;
export type InputName = (typeof inputNames)[number];

/** Path of an input's vmcore, built when the cache lacks it. */
export function benchInput(name: InputName): Promise<string> {
  if (name === 'real') return crashedServer();
  const write = name === 'sparse-64g' ? writeSparseVmcore : writeFilterVmcore;
  const key = contentHash([readFileSync('bench/synthetic.ts'), readFileSync('bench/memory-map.ts')]);
  return keep(name, key, async (incomplete) => {
    mkdirSync(incomplete);
    write(join(incomplete, 'vmcore'));
  });
}

/** MiB. The address space is 1 GiB larger: QEMU's pc machine leaves a hole below 4 GiB. */
const memory = 4096;
const fileBytes = 1100 * 2 ** 20;
/** Processes that sleep: their stacks, page tables and descriptors are the kernel's. */
const processes = 300;

const beforeCrash = `
mount -t tmpfs bench /lab
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
say "bench: the workload begins"
i=0
while [ $i -lt ${processes} ]; do
  sh -c 'sleep 100000; true' &
  i=$((i + 1))
done
say "bench: ${processes} processes"
node --max-old-space-size=1024 /disk/kdump/guest-workload.mjs /disk/usr /lab /lab/ready &
workload=$!
await 400 '[ -e /lab/ready ] || [ ! -e /proc/$workload ]'
[ -e /lab/ready ] || finish "failed: the workload did not get ready"
say "bench: $(awk '{ printf "%s%s ", $1, $2 }' /proc/meminfo)"
`;

async function crashedServer(): Promise<string> {
  const kernel = await labKernel('6.1');
  const key = contentHash([
    JSON.stringify([kernel.release, memory, fileBytes, beforeCrash]),
    readFileSync('bench/guest-workload.ts'),
  ]);
  return keep('real', key, async (incomplete) => {
    const program = cachePath('bench', 'guest-workload.mjs');
    await build({
      entryPoints: ['bench/guest-workload.ts'],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20.19',
      external: ['koffi'],
      logLevel: 'warning',
    });
    const { 'koffi.node': koffi } = await kexecProgram();
    const result = await crash({
      kernel: '6.1',
      memory,
      crashkernel: '256M',
      collector: 'cp',
      beforeCrash,
      diskFiles: {
        'kdump/guest-workload.mjs': program,
        'kdump/koffi.node': koffi!,
        ...filesOfTheHost(fileBytes),
      },
      diskSize: 2048,
      targetSize: memory + 1024,
      readyWithin: 480,
      deadline: 1200,
    });
    try {
      const saved = result.dumpDirectory;
      if (saved === undefined || !existsSync(join(saved, 'vmcore')))
        throw result.console.error('the guest saved no whole vmcore');
      // Where the lab's directory is on another file system, its holes have to stay holes.
      await check('mv', [saved, incomplete], { timeout: 600_000 });
    } finally {
      result.remove();
    }
  });
}

/** An input of the cache; those of earlier sources are dropped. */
async function keep(name: string, key: string, make: (incomplete: string) => Promise<void>): Promise<string> {
  const directory = await cached(cachePath('bench', `${name}-${key}`), make);
  for (const other of readdirSync(dirname(directory))) {
    const old =
      other.startsWith(`${name}-`) && !directory.endsWith(other) && !/\.(incomplete|lock)/.test(other);
    if (old) rmSync(join(dirname(directory), other), { recursive: true, force: true });
  }
  return join(directory, 'vmcore');
}

const smallestFile = 16 << 10;
const largestFile = 24 << 20;

/** Programs, libraries and texts of the machine that builds, as many as have so many bytes: path in the guest → path here. */
function filesOfTheHost(bytes: number): Record<string, string> {
  const found: { path: string; size: number; order: string }[] = [];
  for (const top of ['/usr/bin', '/usr/lib', '/usr/share', '/usr/include']) {
    if (!existsSync(top)) continue;
    for (const entry of readdirSync(top, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const { size } = statSync(path);
      // An order that mixes the directories and is the same in every run.
      if (size >= smallestFile && size <= largestFile) found.push({ path, size, order: contentHash([path]) });
    }
  }
  found.sort((a, b) => (a.order < b.order ? -1 : 1));
  const chosen: Record<string, string> = {};
  let total = 0;
  // A machine with little in /usr gives its files more than once: the pages of a copy are pages as well.
  for (let copy = 0; total < bytes && found.length > 0; copy++) {
    for (const { path, size } of found) {
      if (total >= bytes) break;
      chosen[copy === 0 ? path.slice(1) : `usr/copy-${copy}${path}`] = path;
      total += size;
    }
  }
  return chosen;
}
