// The demo: the road once, then what came of it in one screen. Bundled and started by scripts/run-ts.mjs.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CollectReport } from '../../../src/dump/collect.ts';
import type { DumpReport } from '../../../src/kdump/capture/report.ts';
import { describeError, exitCodeOf, KdumpError } from '../../../src/lib/errors.ts';
import { repository } from './images.ts';
import { type CrashResult, crash, type KernelName, kernelNames, labKernel } from './lab.ts';

const usage = 'usage: demo [6.1|6.12|both]';
const barWidth = 40;

/** Counters of the collector, in the order in which a reader asks for them. */
const reasons: readonly (readonly [keyof CollectReport['pages']['excluded'], string])[] = [
  ['free', 'free'],
  ['user', 'memory of programs'],
  ['cache', 'page cache'],
  ['cachePrivate', 'page cache, private'],
  ['zero', 'zero'],
  ['offline', 'offline (balloon)'],
  ['hwpoison', 'hardware poison'],
];

try {
  const names = chosen(process.argv.slice(2));
  for (const name of names) await demonstrate(name);
} catch (error) {
  console.error(describeError(error));
  process.exitCode = exitCodeOf(error);
}

function chosen(args: readonly string[]): readonly KernelName[] {
  const word = args[0] ?? '6.1';
  const name = kernelNames.find((candidate) => candidate === word);
  if (args.length > 1 || (name === undefined && word !== 'both')) throw new KdumpError('usage', usage);
  return name === undefined ? kernelNames : [name];
}

async function demonstrate(name: KernelName): Promise<void> {
  console.log(`== Linux ${name}`);
  console.log('fetching the kernel (from the cache when it is there)');
  const { release } = await labKernel(name);
  console.log(
    `building the images and crashing a virtual machine with ${release}; this takes about a minute`,
  );
  const result = await crash({ kernel: name, collector: 'makedumpfile -l -d 31', workload: 'full' });
  try {
    if (result.dumpDirectory === undefined) {
      throw result.console.error('the machine rebooted, but there is no dump on its disk');
    }
    const kept = repository('demo-output', name);
    rmSync(kept, { recursive: true, force: true });
    mkdirSync(kept, { recursive: true });
    cpSync(result.dumpDirectory, kept, { recursive: true });
    writeFileSync(join(kept, 'console.log'), `${result.console.text()}\n`);
    const report = JSON.parse(readFileSync(join(kept, 'dump.json'), 'utf8')) as DumpReport;
    console.log(`\n${summary(report, result, kept)}\n`);
    if (report.state !== 'complete') {
      throw new KdumpError('demo', `the dump is ${report.state}: ${report.errors[0]?.message ?? 'no cause'}`);
    }
  } finally {
    result.remove();
  }
}

function summary(report: DumpReport, { timings }: CrashResult, kept: string): string {
  const collected = report.report as CollectReport | null;
  const seconds = (value: number | undefined) =>
    value === undefined ? '    -' : `${value.toFixed(1).padStart(5)} s`;
  const step = (name: string) => report.steps.find((candidate) => candidate.name === name)?.seconds;
  const rows: [string, string][] = [
    ['kernel', report.kernelRelease ?? 'unknown'],
    ['died with', report.panic ?? 'unknown'],
    ['dump', `${report.state}, level 31, ${collected?.compression ?? 'no compression'}`],
  ];
  return [
    ...rows.map(([label, text]) => `${label.padEnd(12)}${text}`),
    '',
    ...(collected === null ? [] : pageTable(collected)),
    'seconds (all emulated: no KVM)',
    ...(
      [
        ['boot', timings.boot],
        ['arm: kexec -p', timings.arm],
        ['crash to capture kernel', timings.captureKernel],
        ['capture kernel to our first line', timings.captureBoot],
        ['kernel log saved', step('dmesg')],
        ['memory filtered and saved', step('collect')],
        ['reset to guest up again', timings.reboot],
        ['crash to guest up again', timings.outage],
      ] as const
    ).map(([label, value]) => `  ${label.padEnd(34)}${seconds(value)}`),
    '',
    `memory of the capture kernel: ${mib((report.memory.systemRamBytes ?? 0) / 1024)} of crashkernel=192M usable, ` +
      `${mib(report.memory.totalKiB)} for programs and files, at least ${mib(report.memory.lowestAvailableKiB)} ` +
      `available; node took at most ${mib(report.memory.nodePeakKiB)}`,
    `the dump lies in ${kept}`,
  ].join('\n');
}

function pageTable({ pages, pageSize, bytes }: CollectReport): string[] {
  const size = (count: number) => `${((count * pageSize) / 2 ** 20).toFixed(1).padStart(7)} MiB`;
  const row = (label: string, count: number) => {
    const share = pages.original === 0 ? 0 : count / pages.original;
    // What is there at all shall be seen.
    const length = count === 0 ? 0 : Math.max(1, Math.round(share * barWidth));
    return `  ${label.padEnd(21)}${String(count).padStart(8)} pages ${size(count)}  ${'#'.repeat(length)}`;
  };
  return [
    'kept',
    row('kernel and unknown', pages.remaining),
    'dropped',
    ...reasons.map(([key, label]) => row(label, pages.excluded[key])),
    `  ${'sum'.padEnd(21)}${String(pages.original).padStart(8)} pages ${size(pages.original)}`,
    `${size(pages.original).trim()} of memory became ${(bytes / 2 ** 20).toFixed(1)} MiB on disk`,
    '',
  ];
}

function mib(kibibytes: number): string {
  return `${(kibibytes / 1024).toFixed(0)} MiB`;
}
