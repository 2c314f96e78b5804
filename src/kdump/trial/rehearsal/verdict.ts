import { printable } from '../../../lib/printable.ts';
import type { DumpReport } from '../../capture/report.ts';
import { formatBytes } from '../../dumps/describe.ts';
import { words } from './guest.ts';

export type Verdict = {
  readonly passed: boolean;
  /** One sentence. */
  readonly why: string;
  readonly fix: string | null;
  /** Bytes of memory that the capture kernel had, that were never in use, and that node took at most. */
  readonly memory: { readonly total: number; readonly lowest: number; readonly node: number } | null;
  /** Wall time of each step of the capture, in the guest. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly report: Partial<DumpReport> | null;
  readonly notProven: readonly string[];
  /** End of what the guest has said, when it failed. */
  readonly lastWords: readonly string[];
};

/** Signs of what went wrong, in the words of the kernel or of our own, and what they mean. */
const signs: readonly (readonly [pattern: RegExp, why: string, fix: string | null])[] = [
  [
    /Initramfs unpacking failed|crash kernel's memory was too small/,
    'the capture kernel had too little memory to unpack its image',
    'Reserve more with crashkernel=; kdumpctl estimate says how much.',
  ],
  [
    /Out of memory|Kernel panic.*(out of memory|System is deadlocked on memory)/i,
    'the capture kernel ran out of memory',
    'Reserve more with crashkernel=; kdumpctl estimate says how much.',
  ],
  [
    /does not fit the reserved memory/,
    'the kernel and the image do not fit the reserved memory',
    'Reserve more with crashkernel=; kdumpctl estimate says how much.',
  ],
  [
    /crashkernel reservation failed|Cannot reserve/i,
    'the guest could not reserve the memory for the crash kernel',
    null,
  ],
  [new RegExp(`${words.failed} (.*)`), 'the guest could not be armed or looked into: $1', null],
];

const lastLines = 25;
const kibibyte = 1024;

/**
 * Says how a rehearsal went.
 * @param crash what the guest said when it crashed
 * @param look what it said when it showed what was saved; null when it never came to that
 * @param inTime false when a run had to be ended
 */
export function judge(
  crash: string,
  look: string | null,
  inTime: boolean,
  notProven: readonly string[],
): Verdict {
  const text = `${crash}\n${look ?? ''}`.replaceAll('\r', '');
  const report = readReport(look ?? '');
  const facts = { report, memory: memoryOf(report), seconds: secondsOf(report), notProven };
  if (report?.state === 'complete') {
    const why = 'the capture kernel came up in the reserved memory and saved a complete dump';
    return { passed: true, why, fix: null, ...facts, lastWords: [] };
  }
  const lastWords = printable(text).trimEnd().split('\n').slice(-lastLines);
  const said = report?.errors?.at(-1);
  if (said !== undefined)
    return {
      passed: false,
      why: `${said.step}: ${said.message}`,
      fix: said.fix ?? null,
      ...facts,
      lastWords,
    };
  for (const [pattern, why, fix] of signs) {
    const found = pattern.exec(text);
    if (found !== null)
      return { passed: false, why: why.replace('$1', printable(found[1] ?? '')), fix, ...facts, lastWords };
  }
  const why = inTime ? 'the capture left nothing' : 'the guest did not come to an end in its time';
  return { passed: false, why, fix: null, ...facts, lastWords };
}

function readReport(look: string): Partial<DumpReport> | null {
  const clean = look.replaceAll('\r', '');
  const begin = clean.lastIndexOf(words.begin);
  const end = clean.indexOf(words.end, begin);
  if (begin < 0 || end < 0) return null;
  try {
    const value: unknown = JSON.parse(clean.slice(begin + words.begin.length, end));
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

function memoryOf(report: Partial<DumpReport> | null): Verdict['memory'] {
  const memory = report?.memory;
  if (memory === undefined) return null;
  return {
    total: memory.totalKiB * kibibyte,
    lowest: memory.lowestAvailableKiB * kibibyte,
    node: memory.nodePeakKiB * kibibyte,
  };
}

const secondsOf = (report: Partial<DumpReport> | null): Record<string, number> =>
  Object.fromEntries((report?.steps ?? []).map(({ name, seconds }) => [name, seconds]));

/** For people. */
export function describeVerdict({ passed, why, fix, memory, notProven, lastWords }: Verdict): string {
  const lines = [`Rehearsal ${passed ? 'passed' : 'FAILED'}: ${why}.`];
  if (fix !== null) lines.push(`  ${fix}`);
  if (memory !== null)
    lines.push(
      `Memory of the capture kernel: ${formatBytes(memory.total)}, of which ${formatBytes(memory.lowest)} were never in use; node took ${formatBytes(memory.node)}.`,
    );
  for (const one of notProven) lines.push(`Not proven: ${one}.`);
  if (lastWords.length > 0)
    lines.push('', 'The last that the guest said:', ...lastWords.map((line) => `  ${line}`));
  return `${lines.join('\n')}\n`;
}
