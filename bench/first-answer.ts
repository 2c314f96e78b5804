// Time to first answer: the backtrace of the task that panicked, from the start of the program to its end. Ours from the
// dump alone, crash(8) with the vmlinux that it cannot do without.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { debugVmlinux } from '../test/vm/lab/debug-vmlinux.ts';
import { labKernel } from '../test/vm/lab/kernels.ts';
import { peer } from '../test/vm/lab/peers.ts';
import { benchInput } from './inputs.ts';
import { median } from './run.ts';
import { formatTable } from './table.ts';

/** Seconds of one run after the other. */
type Times = { readonly theirs: number[]; readonly ours: number[]; readonly node: number[] };

const longestRun = 600_000;
/** The panic of the guest whose dump it is. */
const answer = /sysrq_handle_crash/;

/** Prints medians of `rounds` runs of each program on the raw dump and on a filtered one. */
export async function compareFirstAnswer(rounds: number): Promise<void> {
  const crash = await peer('crash');
  const vmlinux = await debugVmlinux(await labKernel('6.1'));
  const raw = await benchInput('real');
  const directory = mkdtempSync(join(tmpdir(), 'kdump-answer-'));
  try {
    const filtered = join(directory, 'filtered');
    run([process.execPath, resolve('bin/makedumpfile'), '-l', '-d', '31', raw, filtered]);
    const script = join(directory, 'commands');
    writeFileSync(script, 'bt\nq\n');
    console.log(
      `\nfirst answer: bt of the task that panicked; crash ${crash.version} with a vmlinux of ${mebibytes(vmlinux)} MiB, ` +
        `ours with nothing but the dump, node ${process.version}; seconds, median of ${rounds}; ratio: theirs / ours\n`,
    );
    const rows = [['raw', raw] as const, ['-l -d 31', filtered] as const].map(([name, dump]) => {
      const theirs = [...crash.command, '-s', '-i', script, vmlinux, dump];
      const ours = [process.execPath, resolve('bin/crash'), '-s', dump, '-c', 'bt'];
      return row(`${name}, ${mebibytes(dump)} MiB`, compare(theirs, ours, rounds));
    });
    console.log(formatTable([['first answer', 'theirs', 'ours', 'ratio', 'of it node'], ...rows]));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function compare(theirs: readonly string[], ours: readonly string[], rounds: number): Times {
  const times: Times = { theirs: [], ours: [], node: [] };
  // What was not in the page cache yet is there after a round that does not count.
  for (let round = -1; round < rounds; round++) {
    const seconds = {
      theirs: answered(theirs),
      ours: answered(ours),
      node: timed([process.execPath, '--eval', '0']).seconds,
    };
    if (round < 0) continue;
    for (const who of ['theirs', 'ours', 'node'] as const) times[who].push(seconds[who]);
  }
  return times;
}

function row(name: string, { theirs, ours, node }: Times): string[] {
  const [their, our] = [median(theirs), median(ours)];
  return [name, their.toFixed(2), our.toFixed(3), (their / our).toFixed(0), median(node).toFixed(3)];
}

/** @throws Error when the program did not give the answer */
function answered(command: readonly string[]): number {
  const { seconds, stdout } = timed(command);
  if (!answer.test(stdout)) throw new Error(`${command.join(' ')}: no backtrace\n${stdout}`);
  return seconds;
}

function timed(command: readonly string[]): { seconds: number; stdout: string } {
  const began = performance.now();
  const { stdout } = run(command);
  return { seconds: (performance.now() - began) / 1000, stdout };
}

/** @throws Error with what the program said when it failed */
function run([program, ...args]: readonly string[]): SpawnSyncReturns<string> {
  const ended = spawnSync(program!, args, { encoding: 'utf8', timeout: longestRun });
  if (ended.status === 0) return ended;
  throw ended.error ?? new Error(`${[program, ...args].join(' ')}: ${ended.stderr}${ended.stdout}`);
}

const mebibytes = (path: string): string => (statSync(path).size / 2 ** 20).toFixed(0);
