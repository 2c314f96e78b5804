// A kernel as an object, on every kernel that is compared: with what it says of itself, in its log and in its counters.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../src/dump/input/open.ts';
import type { DumpSource } from '../../src/dump/input/source.ts';
import type { Frame } from '../../src/kernel/backtrace.ts';
import { known } from '../../src/kernel/core.ts';
import { type Kernel, openKernel } from '../../src/kernel/kernel.ts';
import { kernelLog } from '../../src/kernel/log.ts';
import { walkMapleTree } from '../../src/kernel/maple-tree.ts';
import type { KernelObject } from '../../src/kernel/object.ts';
import { openKernelMemory } from '../../src/kernel/open.ts';
import { taskOfPid, taskPids } from '../../src/kernel/pids.ts';
import { walkRbTree } from '../../src/kernel/rbtree.ts';
import { comparedKernels, rawVmcore } from './lab/lab.ts';

describe.each(comparedKernels())('kernel %s', (name) => {
  let dump: DumpSource;
  let kernel: Kernel;
  let log: string;

  beforeAll(async () => {
    dump = openSource([await rawVmcore(name)]);
    const memory = openKernelMemory(dump.arch!, dump.vmcoreinfo!, dump, dump.segments);
    kernel = openKernel(memory, { notes: dump.notes });
    log = kernelLog(dump.vmcoreinfo!, memory.memory);
  });
  afterAll(() => dump?.close());

  test('the stack of the task that panicked is the one that the kernel printed', () => {
    const task = kernel.panicTask!;
    expect([task.pid, task.comm, task.onCpu]).toEqual([1, 'init', kernel.panicCpu]);
    const { frames, stop } = kernel.backtrace(task);
    const names = frames.map(({ place }) => place?.symbol.name);
    expect(names.slice(0, 2)).toEqual(['machine_kexec', '__crash_kexec']);
    // The log was written by panic(), before it went on to the crash: what called it is the same.
    const behind = frames.slice(names.lastIndexOf('panic') + 1, -1).map(described);
    const printed = callTrace(log);
    expect(behind).toEqual(printed.slice(printed.findIndex((line) => line.startsWith('panic+')) + 1));
    expect(behind.length).toBeGreaterThanOrEqual(8);

    const user = frames.at(-1)!;
    expect(stop).toEqual({ reason: 'user' });
    expect(user).toMatchObject({ kind: 'syscall', user: true });
    const [, rip, rsp, rax] = /RIP: 0033:0x(\w+)[\s\S]*?RSP: 002b:(\w+)[\s\S]*?\bRAX: (\w+)/.exec(
      log.slice(log.lastIndexOf('Call Trace:')),
    )!;
    expect([user.registers!.rip, user.registers!.rsp, user.registers!.rax]).toEqual(
      [rip, rsp, rax].map((digits) => BigInt(`0x${digits}`)),
    );
  });

  test('the other CPU was stopped by an NMI', () => {
    for (const { cpu } of kernel.cpus.filter((each) => each.cpu !== kernel.panicCpu)) {
      const { frames, stop } = kernel.backtrace({ cpu });
      expect(frames[0]).toMatchObject({
        place: { symbol: { name: 'crash_nmi_callback' } },
        stack: { name: 'NMI' },
      });
      expect(frames.some(({ kind }) => kind === 'exception')).toBe(true);
      expect(['end', 'user']).toContain(stop.reason);
    }
    expect(kernel.cpus.length).toBe(2);
  });

  test('the stack of every task leads to its beginning', () => {
    const { tasks, damage } = kernel.taskList;
    expect(damage).toEqual([]);
    expect(tasks.length).toBeGreaterThan(60);
    const unfinished = tasks
      .map((task) => ({ pid: task.pid, comm: task.comm, ...kernel.backtrace(task) }))
      .filter(
        ({ frames, stop }) =>
          !['end', 'user'].includes(stop.reason) || frames.some((frame) => !frame.certain),
      );
    expect(unfinished).toEqual([]);
    // Those of user processes, and only those, come from user mode.
    const fromUser = tasks.filter((task) => kernel.backtrace(task).stop.reason === 'user');
    expect(fromUser).toEqual(tasks.filter((task) => !task.isKernelThread && task.pid !== 0));
  });

  test('the list of tasks and the tree of pids hold the same', () => {
    const byPid = [...taskPids(kernel.core)].flatMap((pid) => [...taskOfPid(kernel.core, pid)]);
    const listed = kernel.tasks.filter(({ pid }) => pid !== 0).map(({ address }) => address);
    expect(byPid.sort()).toEqual(listed.sort());
  });

  test('a process has as many areas of memory as it counts', () => {
    let compared = 0;
    for (const task of kernel.tasks) {
      const mm = known(task.object.member('mm').deref());
      if (mm === undefined) continue;
      const maple = mm.find('mm_mt');
      const tree = mm.find('mm_rb');
      const count = maple
        ? walkMapleTree(kernel.core, maple.address).ranges.length
        : walkRbTree(kernel.core.memory, tree!.address).nodes.length;
      expect(count).toBe(mm.member('map_count').number());
      compared++;
    }
    expect(compared).toBeGreaterThan(3);
  });

  test('modules: names, symbols, sections and types', () => {
    for (const module of kernel.modules) {
      expect(module.state).toBe('live');
      expect(module.symbols.length).toBeGreaterThan(5);
      const text = module.sections.find((section) => section.name === '.text');
      expect(text === undefined || module.contains(text.address)).toBe(true);
      for (const symbol of module.symbols.filter(({ address }) => module.contains(address))) {
        expect(kernel.symbolAt(symbol.address)?.symbol).toMatchObject({ address: symbol.address });
      }
      expect(kernel.symbol(`${module.name}:${module.symbols[0]!.name}`)?.module).toBe(module);
    }
    const loop = kernel.modules.find((module) => module.name === 'loop');
    // Since 5.11 modules bring their own types.
    if (loop !== undefined && kernel.symbol('btf_modules') !== undefined)
      expect(kernel.type('loop_device')?.place('lo_disk')?.type.target?.name).toBe('gendisk');
  });

  test('what lies in memory reads as what it is', () => {
    const init = kernel.object('task_struct', kernel.symbol('init_task')!.address);
    expect(init.member('comm').text()).toBe('swapper/0');
    const value = kernel.read('task_struct', init.address);
    expect(value).toMatchObject({ pid: 0, comm: 'swapper/0', real_parent: init.address });
    const uts = kernel.read('uts_namespace', kernel.symbol('init_uts_ns')!.address);
    expect(uts).toMatchObject({ name: { sysname: 'Linux', release: dump.vmcoreinfo!.osrelease } });
    expect((init.follow('nsproxy.uts_ns.name.sysname') as KernelObject).text()).toBe('Linux');
    const list = kernel.listEntries(init.member('tasks').address, 'task_struct', 'tasks');
    expect(list.damage).toBeUndefined();
    expect(list.entries.length).toBeGreaterThan(50);
    const task = kernel.containerOf(init.member('tasks.next').integer() as bigint, 'task_struct', 'tasks');
    expect(task.member('pid').number()).toBe(1);
  });
});

const described = ({ place }: Frame): string =>
  `${place!.symbol.name}+0x${place!.offset.toString(16)}/0x${place!.size.toString(16)}`;

/** The last call trace of a log, without what the kernel itself does not believe. */
function callTrace(log: string): string[] {
  const lines = log.slice(log.lastIndexOf('Call Trace:')).split('\n');
  const end = lines.findIndex((line) => line.includes('RIP: 0033'));
  return lines.slice(1, end).flatMap((line) => /\] +([\w.]+\+0x\w+\/0x\w+)/.exec(line)?.[1] ?? []);
}
