import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { noisePage, textPage, type612, writeVmcore } from '../../helpers/vmcore.ts';

const source = (path: string): string => fileURLToPath(new URL(`../../../src/${path}`, import.meta.url));
let directory: string;
let core: string;

beforeAll(async () => {
  // Inside the checkout, so that koffi is found.
  directory = mkdtempSync(join(fileURLToPath(new URL('../../../node_modules', import.meta.url)), '.crew-'));
  core = join(tmpdir(), `crew-core-${process.pid}`);
  writeVmcore(core, {
    // Enough that workers start before the main thread has done everything.
    pages: 32768,
    content: (pfn) => (pfn % 5 === 0 ? undefined : pfn % 2 === 0 ? noisePage(pfn) : textPage(pfn)),
    structPage: (pfn) => (pfn % 64 === 0 && pfn < 16384 ? { type: type612.buddy, private: 3n } : {}),
  });
  await build({
    entryPoints: [source('cli/makedumpfile.ts')],
    outfile: join(directory, 'makedumpfile.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    logLevel: 'error',
  });
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
  rmSync(core, { force: true });
});

function dump(name: string, ...options: string[]): Buffer {
  const output = join(directory, name);
  const program = join(directory, 'makedumpfile.mjs');
  const { status, stderr } = spawnSync(
    process.execPath,
    [program, '-z', '-d', '31', '-f', ...options, core, output],
    { encoding: 'utf8', timeout: 60_000 },
  );
  expect(status, stderr).toBe(0);
  return readFileSync(output);
}

async function buildWorker(contents: string): Promise<void> {
  await build({
    stdin: { contents, resolveDir: source('dump/crew'), loader: 'ts' },
    outfile: join(directory, 'dump-worker.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    logLevel: 'error',
  });
}

test('the dump is the same whoever makes it', async () => {
  const alone = dump('alone', '--num-threads', '1');

  // No bundle of workers beside the command: the main thread does everything.
  rmSync(join(directory, 'dump-worker.mjs'), { force: true });
  expect(dump('absent', '--num-threads', '3').equals(alone), 'without workers').toBe(true);

  await buildWorker("import './worker.ts';");
  expect(dump('real', '--num-threads', '3').equals(alone), 'with workers').toBe(true);

  // Workers that take a job and cannot do it.
  await buildWorker(`
    import { writeFileSync } from 'node:fs';
    import { workerData } from 'node:worker_threads';
    import { JobRing } from './job-ring.ts';
    const ring = new JobRing(workerData.ring);
    let refused = 0;
    while (ring.waitForJob()) {
      const job = ring.claim();
      if (job === undefined) continue;
      ring.finish(job, false);
      refused++;
    }
    if (refused > 0) writeFileSync(${JSON.stringify(join(directory, 'refused'))}, String(refused));
    ring.leave();`);
  writeFileSync(join(directory, 'refused'), '0');
  expect(dump('refusing', '--num-threads', '3').equals(alone), 'with workers that refuse').toBe(true);
  expect(Number(readFileSync(join(directory, 'refused'), 'utf8'))).toBeGreaterThan(0);

  // Workers that spoil what they are given, and give it back.
  await buildWorker(`
    import { workerData } from 'node:worker_threads';
    import { JobRing } from './job-ring.ts';
    const ring = new JobRing(workerData.ring);
    while (ring.waitForJob()) {
      const job = ring.claim();
      if (job === undefined) continue;
      ring.block(job).data.fill(0xee);
      ring.block(job).set(1, 17);
      ring.finish(job, false);
    }
    ring.leave();`);
  expect(dump('spoiling', '--num-threads', '3').equals(alone), 'with workers that spoil').toBe(true);
});
