// One run of a collector: its time, what it says about its steps, and the memory it takes.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';

/** A program that understands makedumpfile's options. */
export type Collector = {
  command: readonly string[];
  env?: Readonly<Record<string, string>>;
};

export type Run = {
  /** From the start of the process to its end. */
  seconds: number;
  /** Of the steps that decide about pages, as the program itself has measured them. */
  filterSeconds: number;
  /** Of the output. */
  bytes: number;
  /** Peaks of the memory, MiB; sampled only when asked for. */
  anonymous: number;
  resident: number;
};

export type RunOptions = {
  /** Seconds after which the process is ended. */
  limit?: number;
  sampleMemory?: boolean;
};

const sampleMilliseconds = 20;
const longestRun = 1800;
/** Errors and the report: no progress, nothing else. */
const messageLevel = '20';

/**
 * Runs a collector to its end.
 * @param output is removed first
 * @returns undefined when the limit was exceeded
 * @throws Error with what the program said when it failed
 */
export async function dump(
  collector: Collector,
  options: readonly string[],
  vmcore: string,
  output: string,
  { limit, sampleMemory }: RunOptions = {},
): Promise<Run | undefined> {
  rmSync(output, { force: true });
  const [program, ...first] = collector.command;
  const args = [...first, '--message-level', messageLevel, ...options, '-f', vmcore, output];
  const began = performance.now();
  const child = spawn(program!, args, {
    env: { ...process.env, ...collector.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('latin1');
    stream.on('data', (piece: string) => {
      said += piece;
    });
  }
  const peak = { anonymous: 0, resident: 0 };
  const sampler = sampleMemory ? setInterval(() => sample(child.pid!, peak), sampleMilliseconds) : undefined;
  const killer = setTimeout(() => child.kill('SIGKILL'), (limit ?? longestRun) * 1000);
  let seconds = 0;
  child.once('exit', () => {
    seconds = (performance.now() - began) / 1000;
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => {
    clearInterval(sampler);
    clearTimeout(killer);
  });
  if (status === null && limit !== undefined && seconds >= limit) return undefined;
  if (status !== 0) throw new Error(`${options.join(' ')}: status ${status}\n${said.trim()}`);
  let filterSeconds = 0;
  for (const step of said.matchAll(/^STEP \[Excluding[^\]]*\] : ([\d.]+) seconds/gm))
    filterSeconds += Number(step[1]);
  return { seconds, filterSeconds, bytes: statSync(output, { throwIfNoEntry: false })?.size ?? 0, ...peak };
}

function sample(pid: number, peak: { anonymous: number; resident: number }): void {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    // It has ended between two samples.
    return;
  }
  const mebibytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024;
  peak.anonymous = Math.max(peak.anonymous, mebibytes('RssAnon'));
  peak.resident = Math.max(peak.resident, mebibytes('VmHWM'));
}

export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}
