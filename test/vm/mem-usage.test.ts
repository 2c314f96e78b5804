// The running kernel: --mem-usage and --partial-dmesg of /proc/kcore, next to makedumpfile's in the same guest.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CollectReport } from '../../src/dump/collect.ts';
import type { MemoryUsage } from '../../src/dump/mem-usage.ts';
import { verify } from '../../src/dump/verify.ts';
import { noPhysicalAddress, readElfCore } from '../../src/formats/elf.ts';
import { type GuestResult, runGuest } from './lab/guest.ts';
import { bundle, fileData, labFile, workloadProgram } from './lab/images.ts';
import { kernelNames, labKernel, peer } from './lab/lab.ts';
import { peerFiles } from './lab/peers.ts';

const guestScript = `
cat /disk/lab/data >/dev/null
say "measuring"
TMPDIR=/tmp node /disk/lab/mem-usage.mjs /disk/results \\
  /disk/peer/ld.so --library-path /disk/peer /disk/peer/makedumpfile >/disk/results/output 2>&1 \\
  || finish "failed: $(tail -n 5 /disk/results/output)"
finish "finished"
`;

type Measured = { usage: MemoryUsage; messages: string[]; seconds: number };

describe.each(kernelNames)('kernel %s', (name) => {
  let directory: string;
  let guest: GuestResult;
  let ours: Record<'before' | 'after', Measured>;
  let text: string;
  let log: Record<'whole' | 'partial' | 'theirPartial', string>;
  let segments: { start: number; end: number }[];
  let theirs: { status: number; stdout: string; stderr: string };
  let dumped: { path: string; report: CollectReport };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kdump-usage-'));
    const kernel = await labKernel(name);
    const program = join(directory, 'mem-usage.mjs');
    await build({
      entryPoints: [labFile('guest/mem-usage.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20.19',
      external: ['koffi'],
      logLevel: 'warning',
    });
    const { 'koffi.node': koffi } = await workloadProgram();
    guest = await runGuest({
      kernel,
      script: guestScript,
      files: {
        'lab/data': { bytes: fileData() },
        'lab/mem-usage.mjs': program,
        'lab/koffi.node': koffi!,
        ...(await peerFiles(await peer('makedumpfile'))),
      },
      // The original wants memory to be reserved; ours does not care.
      append: 'crashkernel=64M',
    });
    const { results } = guest;
    const read = (file: string): string => readFileSync(join(results, file), 'utf8');
    ours = { before: JSON.parse(read('before.json')), after: JSON.parse(read('after.json')) };
    text = read('before.txt');
    segments = JSON.parse(read('segments.json'));
    log = {
      whole: read('log.txt'),
      partial: read('partial.txt'),
      theirPartial: read('their-partial.txt'),
    };
    theirs = JSON.parse(read('theirs.json'));
    dumped = { path: join(results, 'dump'), report: JSON.parse(read('dump.json')) };
    expect(theirs, theirs.stdout + theirs.stderr).toMatchObject({ status: 0 });
  });
  afterAll(() => {
    guest?.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  const count = (label: string): number =>
    Number(new RegExp(`^${label}:?\\s+(\\d+)`, 'm').exec(theirs.stdout)?.[1]);

  test('prints the same table', () => {
    const shape = (table: string): string => table.replaceAll(/\d+ */g, '#');
    expect(shape(theirs.stdout)).toContain(shape(text));
  });

  test('counts the same pages, but for what changed meanwhile', () => {
    const { before, after } = ours;
    const rows: [label: string, of: (pages: MemoryUsage['pages']) => number][] = [
      ['ZERO', (pages) => pages.excludable.zero],
      ['NON_PRI_CACHE', (pages) => pages.excludable.cache],
      ['PRI_CACHE', (pages) => pages.excludable.cachePrivate],
      ['USER', (pages) => pages.excludable.user],
      ['FREE', (pages) => pages.excludable.free],
    ];
    // Their process is there while they count, and takes a few pages of every kind.
    const drift = 0.02 * before.usage.pages.total;
    for (const [label, of] of rows) {
      const seen = [of(before.usage.pages), of(after.usage.pages)];
      expect(count(label), label).toBeGreaterThan(Math.min(...seen) - drift);
      expect(count(label), label).toBeLessThan(Math.max(...seen) + drift);
    }
    expect(count('page size')).toBe(before.usage.pageSize);
    // They count the kernel's text twice: once by each of its two virtual addresses.
    const { pageSize, pages } = before.usage;
    const covered = segments.reduce((sum, { start, end }) => sum + (end - start) / pageSize, 0);
    expect(count('Total pages on system')).toBe(covered);
    expect(after.usage.pages.total).toBe(pages.total);
    const twice = covered - pages.total;
    expect(twice).toBeGreaterThan(0);
    expect(Math.abs(count('KERN_DATA') - twice - pages.kernelData)).toBeLessThan(drift);
  });

  test('finds no doubt, and every page readable', () => {
    expect(ours.before.messages).toEqual([]);
    expect(ours.before.usage.doubts).toEqual({ unreadable: 0, badOrder: 0, protected: 0 });
    expect(ours.before.usage.pages.excludable.free).toBeGreaterThan(0);
  });

  test('tells the log since it was cleared', () => {
    expect(log.whole).toContain('Linux version');
    expect(log.whole.endsWith(log.partial)).toBe(true);
    expect(log.partial.split('\n')[0]).toContain('lab: logged after the log was cleared');
    expect(log.partial).toBe(log.theirPartial);
  });

  test('dumps the kernel while it runs', async () => {
    const { path, report } = dumped;
    expect(verify([path], () => {})).toMatchObject({ ok: true });
    const { excluded, remaining } = report.pages;
    const { excludable, kernelData } = ours.after.usage.pages;
    const drift = 0.02 * report.pages.original;
    expect(Math.abs(remaining - kernelData)).toBeLessThan(drift);
    expect(Math.abs(excluded.free - excludable.free)).toBeLessThan(drift);
    const { run } = await peer('makedumpfile');
    const { status, stderr } = await run(['--dump-dmesg', path, join(directory, 'dump-log')]);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(directory, 'dump-log'), 'latin1')).toContain('lab: logged after the log was');
  });
});

test('with 5-level paging, whose kcore has offsets beyond 2^53', async () => {
  const { 'koffi.node': koffi } = await workloadProgram();
  const guest = await runGuest({
    kernel: await labKernel('6.12'),
    cpu: 'max',
    files: { 'lab/makedumpfile.mjs': await bundle('makedumpfile'), 'lab/koffi.node': koffi! },
    script: `
dd if=/proc/kcore of=/disk/results/headers bs=4096 count=1 2>/dev/null
node /disk/lab/makedumpfile.mjs --mem-usage --json /proc/kcore >/disk/results/usage 2>/disk/results/errors \\
  || finish "failed: $(cat /disk/results/errors)"
node /disk/lab/makedumpfile.mjs --dump-dmesg /proc/kcore /disk/results/log 2>/disk/results/errors \\
  || finish "failed: $(cat /disk/results/errors)"
cat /proc/meminfo >/disk/results/meminfo
finish "finished"
`,
  });
  try {
    const read = (file: string): string => readFileSync(join(guest.results, file), 'utf8');
    const headers = readFileSync(join(guest.results, 'headers'));
    const core = readElfCore((offset, length) => headers.subarray(offset, offset + length), 'kcore');
    const farthest = core.programHeaders.filter(({ offset }) => offset > Number.MAX_SAFE_INTEGER);
    expect(farthest.some(({ paddr }) => paddr === noPhysicalAddress)).toBe(true);
    expect(farthest.some(({ paddr }) => paddr !== noPhysicalAddress)).toBe(true);
    const usage: MemoryUsage = JSON.parse(read('usage'));
    expect(usage.doubts).toEqual({ unreadable: 0, badOrder: 0, protected: 0 });
    const free = (Number(/^MemFree:\s+(\d+)/m.exec(read('meminfo'))?.[1]) * 1024) / usage.pageSize;
    expect(Math.abs(usage.pages.excludable.free - free)).toBeLessThan(0.05 * usage.pages.total);
    expect(read('log')).toContain('Linux version 6.12');
  } finally {
    guest.remove();
  }
});
