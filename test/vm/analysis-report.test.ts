import { describe, expect, test } from 'vitest';
import { BugTable } from '../../src/crash/triage/bug-table.ts';
import { coverage } from '../../src/crash/triage/coverage.ts';
import { groupTasks } from '../../src/crash/triage/groups.ts';
import { identify } from '../../src/crash/triage/identify.ts';
import { comparedKernels, rawVmcore } from './lab/lab.ts';
import { made, storyTeller } from './lab/told.ts';

const look = storyTeller();

describe.each(comparedKernels())('kernel %s, crashed by sysrq', (name) => {
  test('says that it was a test, by which file, and knows its own addresses', async () => {
    const { kernel, report, triage } = look(await rawVmcore(name));
    expect(triage.signature.class).toBe('sysrq');
    expect(triage.signature.frames[0]).toBe('sysrq_handle_crash');
    expect(triage.task).toMatchObject({ pid: 1, comm: 'init' });
    expect(triage.objects[0]).toMatchObject({ cache: 'filp', text: '/proc/sysrq-trigger' });
    expect(report.summary).toContain('this is a test or a deliberate crash');

    const task = kernel.panicTask!;
    const kinds = (address: bigint): string[] =>
      identify(kernel, address).map(({ kind, text }) => `${kind}: ${text}`);
    expect(kinds(task.address + 8n)[0]).toMatch(
      /^slab: 0x8 bytes into the object 0x\w+ of task_struct.*: init \(pid 1\)$/,
    );
    expect(kinds((task.stack as bigint) + 64n)[0]).toBe('stack: stack of init (pid 1)');
    expect(kinds((task.stack as bigint) + 64n).some((text) => text.startsWith('vmalloc: '))).toBe(true);
    expect(kinds(kernel.symbol('panic')!.address + 4n)[0]).toMatch(/^symbol: (v?panic)\+0x4\//);
    expect(kinds((kernel.perCpu('runqueues', 1) as bigint) + 2n)[0]).toBe('per-cpu: runqueues+0x2 of CPU 1');
    expect(kinds(kernel.symbol('runqueues')!.address)[0]).toMatch(/runqueues\+0x0/);
    expect(kinds(0x7f00_0000_1000n)[0]).toMatch(/^user: /);
    expect(kinds(0xe8n)[0]).toBe('null: 0xe8 bytes behind NULL');
  });

  test('every BUG and WARN has a line of a file that could be', async () => {
    const { kernel } = look(await rawVmcore(name));
    const table = new BugTable(kernel);
    const entry = kernel.type('bug_entry')!;
    const start = kernel.symbol('__start___bug_table')!.address;
    let seen = 0;
    for (let i = 0n; i < 2000n; i += 20n) {
      const at = kernel.object(entry, start + i * BigInt(entry.size));
      const displacement = at.member('bug_addr_disp');
      const site = table.at(displacement.address + (displacement.integer() as bigint));
      expect(site?.file).toMatch(/^[\w./+-]+\.[chS]$/);
      expect(site!.line).toBeGreaterThan(0);
      seen++;
    }
    expect(seen).toBe(100);
  });

  test('memory by kind adds up to what the kernel counts, and groups hold every task once', async () => {
    const { kernel, report } = look(await rawVmcore(name));
    const { total, uses } = made(report.memory);
    expect(uses.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(total);
    const of = (kind: string) => uses.find((use) => use.kind === kind)!.bytes;
    for (const kind of ['free', 'programs', 'files', 'slab', 'page tables', 'kernel stacks'])
      expect(of(kind)).toBeGreaterThan(0);
    const groups = groupTasks(kernel, kernel.tasks);
    expect(groups.reduce((sum, { tasks }) => sum + tasks.length, 0)).toBe(kernel.tasks.length);
    expect(groups.length).toBeLessThan(kernel.tasks.length);
    for (const { part, pages, held } of coverage(kernel))
      if (!/init|bss/.test(part)) expect([part, held]).toEqual([part, pages]);
  });
});
