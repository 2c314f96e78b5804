import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing, type MissingReason } from '../../kernel/memory.ts';
import { taskStack } from '../../kernel/stacks.ts';

/** How much of one part of a kernel a dump holds. Pages that the page tables do not map are none. */
export type Covered = {
  readonly part: string;
  readonly pages: number;
  readonly held: number;
  /** Why others are not there. */
  readonly missing: Readonly<Partial<Record<MissingReason, number>>>;
};

type Part = { readonly part: string; readonly ranges: readonly (readonly [start: bigint, end: bigint])[] };

const pageBytes = 4096n;
/** Pages of one part that are asked for. */
const mostPages = 2 ** 18;
const mostTables = 2 ** 16;

/** What of a kernel's own memory a dump holds, part by part. */
export function* coverage(kernel: Kernel): Generator<Covered> {
  for (const { part, ranges } of parts(kernel)) yield covered(kernel, part, pagesOf(kernel, ranges));
  yield covered(kernel, 'page tables', kernel.core.memory.tablePages(mostTables));
}

function* pagesOf(kernel: Kernel, ranges: Part['ranges']): Generator<number> {
  let left = mostPages;
  for (const [start, end] of ranges) {
    for (let at = start & ~(pageBytes - 1n); at < end && left > 0; at += pageBytes, left--) {
      const run = kernel.core.memory.translate(at);
      if (!isMissing(run)) yield run.paddr;
    }
  }
}

function covered(kernel: Kernel, part: string, pages: Iterable<number>): Covered {
  const missing: Partial<Record<MissingReason, number>> = {};
  const byte = new Uint8Array(1);
  let count = 0;
  let held = 0;
  for (const page of pages) {
    count++;
    const failed = kernel.core.memory.readPhysicalInto(page, byte);
    if (failed === undefined) held++;
    else missing[failed.missing] = (missing[failed.missing] ?? 0) + 1;
  }
  return { part, pages: count, held, missing };
}

function parts(kernel: Kernel): Part[] {
  const { core } = kernel;
  const between = (part: string, first: string, last: string): Part[] => {
    const [start, end] = [core.address(first), core.address(last)];
    return start !== undefined && end !== undefined && start < end ? [{ part, ranges: [[start, end]] }] : [];
  };
  const ofEachCpu = core.cpus('possible').flatMap((cpu) => {
    const [start, end] = [core.perCpu('__per_cpu_start', cpu), core.perCpu('__per_cpu_end', cpu)];
    return typeof start === 'bigint' && typeof end === 'bigint' ? [[start, end] as const] : [];
  });
  const stacks = kernel.tasks.flatMap((task) => {
    const stack = taskStack(core, task);
    return stack === undefined ? [] : [[stack.start, stack.end] as const];
  });
  const cpuStacks = kernel.cpus.flatMap(({ cpu }) =>
    kernel.stacks(cpu).map(({ start, end }) => [start, end] as const),
  );
  return [
    ...between('kernel text', '_stext', '_etext'),
    ...between('constants', '__start_rodata', '__end_rodata'),
    ...between('data', '_sdata', '_edata'),
    ...between('init (given back after the boot)', '__init_begin', '__init_end'),
    ...between('bss', '__bss_start', '__bss_stop'),
    { part: 'per-CPU variables', ranges: ofEachCpu },
    {
      part: 'modules',
      ranges: kernel.modules.flatMap(({ ranges }) => ranges.map(({ start, end }) => [start, end] as const)),
    },
    { part: 'stacks of tasks', ranges: stacks },
    { part: 'stacks of CPUs', ranges: cpuStacks },
  ];
}
