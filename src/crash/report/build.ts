import { known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { kernelLog } from '../../kernel/log.ts';
import { type MemoryByKind, memoryByKind } from '../../kernel/memory-use.ts';
import { describeError } from '../../lib/errors.ts';
import { reasonToStop } from '../backtrace-text.ts';
import { systemFacts } from '../facts.ts';
import type { DumpFacts } from '../session.ts';
import { frameText, hexText } from '../triage/frame-text.ts';
import { tellStory } from '../triage/story.ts';
import { type Triage, triage } from '../triage/triage.ts';
import { type TasksPart, tasksPart } from './tasks-part.ts';

/** A part of a report, or why it could not be made. */
export type Part<T> = T | { readonly failed: string };

export type TracePart = {
  readonly cpu: number;
  readonly pid: number | null;
  readonly comm: string | null;
  readonly panicked: boolean;
  readonly frames: readonly string[];
  /** Why there are no more frames, when that is not the natural end. */
  readonly stop: string | null;
};

export type SystemPart = {
  readonly release: string | null;
  readonly version: string | null;
  readonly machine: string | null;
  readonly nodename: string | null;
  readonly cpus: number;
  readonly memoryBytes: number | null;
  /** Seconds since the epoch. */
  readonly crashTime: number | null;
  readonly uptimeSeconds: number | null;
  readonly loadAverage: readonly number[] | null;
  readonly commandLine: string | null;
};

export type ModulePart = {
  readonly name: string;
  readonly base: string;
  readonly size: number;
  readonly taints: string;
};

/** A crash in one document: plain JSON. Addresses are "0x…", sizes bytes. */
export type Report = {
  readonly report: 'kdump-tools';
  readonly version: 1;
  /** What happened, in one paragraph. */
  readonly summary: string;
  readonly dump: {
    readonly paths: readonly string[];
    readonly format: string;
    readonly dumpLevel: number | null;
    readonly incomplete: boolean;
  };
  readonly system: Part<SystemPart>;
  readonly crash: Part<Triage>;
  readonly traces: Part<readonly TracePart[]>;
  /** The last lines of the kernel's log. */
  readonly log: Part<readonly string[]>;
  readonly tasks: Part<TasksPart>;
  readonly memory: Part<MemoryByKind>;
  readonly modules: Part<readonly ModulePart[]>;
};

export const hasFailed = <T extends object>(part: Part<T>): part is { readonly failed: string } =>
  'failed' in part;

const logLines = 200;
/** CPUs whose traces are told; the one that panicked is always among them. */
const mostTraces = 64;

/**
 * What there is to say of a crash. A part that cannot be made says so in its place; nothing here throws for what a dump
 * lacks or holds.
 */
export function buildReport(
  kernel: Kernel,
  dump: Pick<DumpFacts, 'paths' | 'format' | 'dumpLevel' | 'incomplete' | 'vmcoreinfo'>,
): Report {
  const text = part(() => kernelLog(dump.vmcoreinfo, kernel.core.memory));
  const log = typeof text === 'string' ? text : '';
  const crash = part(() => triage(kernel, log));
  const system = part(() => systemPart(kernel, dump));
  return {
    report: 'kdump-tools',
    version: 1,
    summary: summaryOf(crash, system, dump.format === 'live'),
    dump: {
      paths: dump.paths,
      format: dump.format,
      dumpLevel: dump.dumpLevel ?? null,
      incomplete: dump.incomplete,
    },
    system,
    crash,
    traces: part(() => tracesOf(kernel)),
    log: typeof text === 'string' ? lastLines(text.trimEnd(), logLines) : text,
    tasks: part(() => tasksPart(kernel)),
    memory: part(() => memoryByKind(kernel) ?? { failed: 'this kernel does not describe its counters' }),
    modules: part(() => modulesOf(kernel)),
  };
}

/** The last lines of a text that may be large, in a process that may not. */
function lastLines(text: string, count: number): string[] {
  let from = text.length;
  for (let left = count; left > 0 && from > 0; left--) from = text.lastIndexOf('\n', from - 1);
  return text.slice(from + 1).split('\n');
}

/** Made, or the reason why not. */
function part<T>(make: () => T): T | { readonly failed: string } {
  try {
    return make();
  } catch (error) {
    return { failed: describeError(error).split('\n')[0]! };
  }
}

function summaryOf(crash: Part<Triage>, system: Part<SystemPart>, live: boolean): string {
  if (hasFailed(crash)) return `What happened cannot be told: ${crash.failed}.`;
  if (hasFailed(system)) return tellStory(crash, { live });
  return tellStory(crash, {
    release: system.release ?? undefined,
    uptime: system.uptimeSeconds ?? undefined,
    live,
  });
}

function systemPart(kernel: Kernel, dump: Pick<DumpFacts, 'vmcoreinfo' | 'format'>): SystemPart {
  const facts = systemFacts(kernel, dump);
  return {
    release: facts.uts?.release ?? null,
    version: facts.uts?.version ?? null,
    machine: facts.uts?.machine ?? null,
    nodename: facts.uts?.nodename ?? null,
    cpus: facts.cpus.online,
    memoryBytes: facts.memory ?? null,
    crashTime: dump.format === 'live' ? null : (facts.date ?? null),
    uptimeSeconds: facts.uptime ?? null,
    loadAverage: facts.loadAverage ?? null,
    commandLine: facts.commandLine ?? null,
  };
}

function tracesOf(kernel: Kernel): TracePart[] {
  const first = kernel.panicCpu;
  const cpus = [...kernel.cpus].sort((a, b) => Number(b.cpu === first) - Number(a.cpu === first));
  return cpus.slice(0, mostTraces).map(({ cpu, task: address }) => {
    const task = address === undefined ? undefined : kernel.task(address);
    const { frames, stop } = kernel.backtrace({ cpu });
    return {
      cpu,
      pid: known(task?.pid) ?? null,
      comm: known(task?.comm) ?? null,
      panicked: cpu === first,
      frames: frames.map(frameText),
      stop: reasonToStop(stop) ?? null,
    };
  });
}

function modulesOf(kernel: Kernel): ModulePart[] {
  return kernel.modules.map((module) => ({
    name: module.name,
    base: hexText(module.base ?? 0n),
    size: module.size,
    taints: known(module.taints) ?? '?',
  }));
}
