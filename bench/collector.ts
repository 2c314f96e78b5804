// Our collector against the C one, turn by turn on the same vmcore: whole commands, start of node included.
// Usage: npm run bench [-- VMCORE [ROUNDS]]; without a vmcore, one of the crash lab's (512 MiB guest, kernel 6.1).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { peer, rawVmcore } from '../test/vm/lab/lab.ts';

const [given, roundsText] = process.argv.slice(2);
const vmcore = given === undefined ? await rawVmcore('6.1') : resolve(given);
const rounds = Number(roundsText ?? 7);
const theirs = await peer('makedumpfile');
const ours = { command: [process.execPath, resolve('bin/makedumpfile')] };
const directory = mkdtempSync(join(tmpdir(), 'kdump-bench-'));
const output = join(directory, 'dump');

type Run = { seconds: number; bytes: number };

function dump(command: readonly string[], options: readonly string[]): Run {
  const began = performance.now();
  const { status, stderr } = spawnSync(command[0]!, [...command.slice(1), ...options, '-f', vmcore, output]);
  const seconds = (performance.now() - began) / 1000;
  if (status !== 0) throw new Error(`${command.join(' ')} ${options.join(' ')}: status ${status}\n${stderr}`);
  return { seconds, bytes: statSync(output).size };
}

const median = (runs: readonly Run[]): number =>
  runs.map((run) => run.seconds).sort((a, b) => a - b)[Math.floor(runs.length / 2)]!;

try {
  // Into the page cache, so that nobody reads from the disk.
  const size = statSync(vmcore).size;
  if (size < 2 ** 31) readFileSync(vmcore);
  console.log(
    `${vmcore} (${Math.round(size / 2 ** 20)} MiB), makedumpfile ${theirs.version}, node ${process.version}, median of ${rounds}`,
  );
  console.log('work         theirs    ours   ratio   bytes, theirs     ours');
  for (const options of [
    ['-c', '-d', '31'],
    ['-l', '-d', '31'],
    ['-z', '-d', '31'],
    ['-c', '-d', '1'],
    ['-l', '-d', '1'],
    ['-z', '-d', '1'],
    ['-d', '31'],
  ]) {
    const runs: { theirs: Run[]; ours: Run[] } = { theirs: [], ours: [] };
    for (let round = 0; round < rounds; round++) {
      runs.theirs.push(dump(theirs.command, options));
      runs.ours.push(dump(ours.command, options));
    }
    const [a, b] = [median(runs.theirs), median(runs.ours)];
    console.log(
      `${options.join(' ').padEnd(10)} ${a.toFixed(3).padStart(7)} s ${b.toFixed(3).padStart(7)} s ${(a / b).toFixed(2).padStart(6)} ` +
        `${String(runs.theirs[0]!.bytes).padStart(15)} ${String(runs.ours[0]!.bytes).padStart(12)}`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
