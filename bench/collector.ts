// Our collector against the C one, turn by turn on the same vmcore: whole commands, start of node included.
// Usage: npm run bench -- [--input NAME]… [--only WORDS] [--rounds N] [--threads LIST] [--output DIRECTORY] [VMCORE…]
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { peer } from '../test/vm/lab/peers.ts';
import { compareFirstAnswer } from './first-answer.ts';
import { benchInput, type InputName, inputNames } from './inputs.ts';
import { compareKexec } from './kexec.ts';
import { type Collector, dump, median, type Run } from './run.ts';
import { formatTable } from './table.ts';

type Work = {
  name: string;
  options: readonly string[];
  /** The same in the other program's words; null when it cannot do it. */
  theirOptions: readonly string[] | null;
  /** Whether the filter's share is shown by itself. */
  showFilter: boolean;
};
type Input = { name: string; path: string; works: readonly Work[] };
type Vmcore = {
  path: string;
  size: number;
  /** Bytes that are not holes. */
  allocated: number;
  /** Whether all of it is in the page cache. */
  isRead: boolean;
};
/** Ours with a number of threads; no number: it chooses. */
type Variant = { label: string; options: readonly string[] };

// The words after --only look like options themselves.
const args = process.argv.slice(2).flatMap((word, i, all) => {
  if (word === '--only' && i + 1 < all.length) return [`--only=${all[i + 1]}`];
  return all[i - 1] === '--only' ? [] : [word];
});
const { values, positionals } = parseArgs({
  args,
  allowPositionals: true,
  options: {
    input: { type: 'string', multiple: true },
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: 'auto,1,2' },
    output: { type: 'string' },
  },
});
/** What is compared besides collectors. */
const others = ['kexec', 'answer'];
const rounds = Math.max(1, Number(values.rounds));
const named = values.input ?? (positionals.length > 0 ? [] : [...inputNames, ...others]);
const wanted = named.filter((name) => !others.includes(name)).map(inputName);

const debian = await peer('makedumpfile');
/**
 * Threads of it close file descriptor 0, each, and then may close the file from which another one loads libgcc_s for
 * its end: it is loaded beforehand.
 */
const theirs: Collector = { command: debian.command, env: { LD_PRELOAD: 'libgcc_s.so.1' } };
const ours: Collector = { command: [process.execPath, resolve('bin/makedumpfile')] };

const theirCodecs = codecs(theirs);
const ourCodecs = codecs(ours);
const variants: Variant[] = values.threads
  .split(',')
  .map((text) =>
    text === 'auto'
      ? { label: 'ours', options: [] }
      : { label: `${text} thread${text === '1' ? '' : 's'}`, options: ['--num-threads', text] },
  )
  .filter(({ options }) => accepts(ours, options));

let failures = 0;
for (const input of await inputs()) await compare(input);
if (named.includes('kexec')) await compareKexec(rounds);
if (named.includes('answer')) await compareFirstAnswer(rounds);
process.exitCode = failures > 0 ? 1 : 0;

function inputName(name: string): InputName {
  const found = inputNames.find((known) => known === name);
  if (found === undefined)
    throw new Error(`--input ${name}: there is ${[...inputNames, ...others].join(', ')}`);
  return found;
}

async function inputs(): Promise<Input[]> {
  const all: Input[] = [];
  for (const name of wanted) all.push({ name, path: await benchInput(name), works: worksOf(name) });
  for (const path of positionals) all.push({ name: path, path: resolve(path), works: worksOf('real') });
  return all;
}

function worksOf(input: InputName): Work[] {
  const codecs = ['-c', '-l', '-z', '-p'];
  const all: Record<InputName, () => Work[]> = {
    real: () => [
      ...codecs.flatMap((codec) => ['31', '1'].map((level) => work([codec, '-d', level]))),
      work(['-d', '31']),
    ],
    'sparse-64g': () => [work(['-l', '-d', '31'])],
    'filter-1t': () => [work(['-l', '-d', '31', '--dry-run'])],
  };
  return all[input]().filter(({ name }) => values.only === undefined || name.includes(values.only));
}

function work(options: readonly string[]): Work {
  const theyCannot = options.includes('-p') && !theirCodecs.has('snappy');
  return {
    name: options.join(' '),
    options,
    theirOptions: theyCannot ? null : options,
    showFilter: options.includes('-l') && options.includes('31'),
  };
}

/** Codecs that a program says it has. */
function codecs({ command, env }: Collector): Set<string> {
  const { stdout } = spawnSync(command[0]!, [...command.slice(1), '-v'], {
    env: { ...process.env, ...env },
    encoding: 'latin1',
  });
  return new Set([...stdout.matchAll(/^(\w+)\s+enabled/gm)].map((match) => match[1]!));
}

function accepts({ command, env }: Collector, options: readonly string[]): boolean {
  const args = [...command.slice(1), '--check-params', ...options, '-f', 'vmcore', 'dump'];
  return spawnSync(command[0]!, args, { env: { ...process.env, ...env } }).status === 0;
}

async function compare({ name, path, works }: Input): Promise<void> {
  const vmcore = prepare(path);
  const directory = mkdtempSync(join(values.output ?? outputParent(vmcore.allocated), 'kdump-bench-'));
  const output = join(directory, 'dump');
  /** @returns no rows. */
  const failed = (work: Work, error: unknown): string[][] => {
    failures++;
    console.log(`${work.name} failed: ${(error as Error).message}`);
    return [];
  };
  try {
    console.log(
      `\n${name}: ${path}\n${gibibytes(vmcore.size)} GiB, ${gibibytes(vmcore.allocated)} GiB of it data; output in ${directory}\n` +
        `makedumpfile ${debian.version}, node ${process.version}, ${availableParallelism()} CPUs; seconds, median of ${rounds}; ` +
        'ratio: the better of theirs / ours\n',
    );
    const times: string[][] = [];
    for (const work of works) {
      if (work.options.includes('-p') && !ourCodecs.has('snappy'))
        console.log(`${work.name}: left out, ours has no snappy on this machine`);
      else times.push(...(await measure(work, vmcore, output).catch((error) => failed(work, error))));
    }
    const ourColumns = variants.flatMap(({ label }) => [label, 'ratio']);
    const sizes = ['bytes, theirs', 'ours', 'ours/theirs'];
    console.log(formatTable([['work', 'theirs', '2 threads', ...ourColumns, ...sizes], ...times]));
    const memory: string[][] = [];
    for (const work of works.filter(({ showFilter }) => showFilter))
      memory.push(...(await measureMemory(work, vmcore, output).catch((error) => failed(work, error))));
    if (memory.length > 0)
      console.log(formatTable([['peak memory, MiB', 'anonymous', 'resident'], ...memory]));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Rounds of both programs in turn, and their row; and one for the filter alone. */
async function measure(each: Work, vmcore: Vmcore, output: string): Promise<string[][]> {
  const { path } = vmcore;
  const theirRuns: Run[] = [];
  const ourRuns: Run[][] = variants.map(() => []);
  for (let round = vmcore.isRead ? 0 : -1; round < rounds; round++) {
    // What is not in the page cache yet is brought there by a round that does not count.
    const counts = round >= 0;
    if (each.theirOptions !== null) {
      const run = (await dump(theirs, each.theirOptions, path, output))!;
      if (counts) theirRuns.push(run);
    }
    for (const [i, variant] of variants.entries()) {
      const run = (await dump(ours, [...each.options, ...variant.options], path, output))!;
      if (counts) ourRuns[i]!.push(run);
    }
  }
  const ourBytes = ourRuns[0]?.[0]?.bytes ?? 0;
  const medians = (runs: readonly Run[]): number => median(runs.map((run) => run.seconds));
  const filters = (runs: readonly Run[]): number => median(runs.map((run) => run.filterSeconds));
  if (each.theirOptions === null) {
    const cells = ourRuns.flatMap((runs) => [formatSeconds(medians(runs)), '-']);
    return [[each.name, '-', '-', ...cells, '-', formatBytes(ourBytes), '-']];
  }
  const seconds = medians(theirRuns);
  // Its threads wait for each other by spinning, which may take minutes; twice the time of one thread says enough.
  const limit = Math.max(1, 2 * seconds);
  const threaded = await dump(theirs, [...each.theirOptions, '--num-threads', '2'], path, output, { limit });
  const best = Math.min(seconds, threaded?.seconds ?? seconds);
  const theirBytes = theirRuns[0]!.bytes;
  const rows = [
    [
      each.name,
      formatSeconds(seconds),
      threaded === undefined ? `> ${limit.toFixed(1)}` : formatSeconds(threaded.seconds),
      ...ourRuns.flatMap((runs) => compareSeconds(best, medians(runs))),
      formatBytes(theirBytes),
      formatBytes(ourBytes),
      theirBytes > 0 && ourBytes > 0 ? (ourBytes / theirBytes).toFixed(4) : '-',
    ],
  ];
  if (each.showFilter) {
    const filter = filters(theirRuns);
    const cells = ourRuns.flatMap((runs) => compareSeconds(filter, filters(runs)));
    rows.push(['  its filter', formatSeconds(filter), '-', ...cells, '-', '-', '-']);
  }
  return rows;
}

/** Peaks of one run each, which nobody times. */
async function measureMemory(each: Work, { path }: Vmcore, output: string): Promise<string[][]> {
  const peaks = async (
    label: string,
    collector: Collector,
    options: readonly string[],
  ): Promise<string[]> => {
    const run = (await dump(collector, options, path, output, { sampleMemory: true }))!;
    return [`${each.name}, ${label}`, run.anonymous.toFixed(1), run.resident.toFixed(1)];
  };
  const rows: string[][] = [];
  if (each.theirOptions !== null) rows.push(await peaks('theirs', theirs, each.theirOptions));
  for (const { label, options } of variants)
    rows.push(await peaks(label, ours, [...each.options, ...options]));
  return rows;
}

function formatSeconds(seconds: number): string {
  return seconds.toFixed(3);
}

function compareSeconds(theirSeconds: number, ourSeconds: number): [string, string] {
  return [formatSeconds(ourSeconds), (theirSeconds / ourSeconds).toFixed(2)];
}

/** A dry run writes nothing. */
function formatBytes(bytes: number): string {
  return bytes === 0 ? '-' : String(bytes);
}

/** Memory when there is enough of it: a disk writes back at its own pace, and never twice at the same. */
function outputParent(bytes: number): string {
  const memory = '/dev/shm';
  const available =
    Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) * 1024;
  try {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize > bytes && available > 3 * bytes) return memory;
  } catch {
    // A container without it has a disk.
  }
  return tmpdir();
}

/** Reads a vmcore of ordinary size, so that nobody waits for the disk; the holes of a huge one would fill the memory. */
function prepare(path: string): Vmcore {
  const { size, blocks } = statSync(path);
  const isRead = size <= 16 * 2 ** 30;
  if (isRead) {
    const piece = Buffer.allocUnsafe(4 << 20);
    const file = openSync(path, 'r');
    while (readSync(file, piece, 0, piece.length, null) > 0);
    closeSync(file);
  }
  return { path, size, allocated: blocks * 512, isRead };
}

function gibibytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}
