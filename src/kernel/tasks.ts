import { type KernelCore, known } from './core.ts';
import type { CpuState } from './cpus.ts';
import { type ListDamage, walkList } from './list.ts';
import { isMissing, type Missing } from './memory.ts';
import type { KernelObject } from './object.ts';
import { taskOfPid, taskPids } from './pids.ts';

/** Letters of the state as ps of crash(8) shows it. */
export type TaskStateCode = 'RU' | 'IN' | 'UN' | 'ST' | 'TR' | 'DE' | 'ZO' | 'PA' | 'ID' | 'WA' | 'NE' | '??';

/** Bits of task_struct.__state and exit_state (include/linux/sched.h), in the order in which they decide. */
const stateBits: readonly (readonly [mask: number, code: TaskStateCode, name: string])[] = [
  [0x10, 'DE', 'EXIT_DEAD'],
  [0x20, 'ZO', 'EXIT_ZOMBIE'],
  [0x80, 'DE', 'TASK_DEAD'],
  [0x08, 'TR', 'TASK_TRACED'],
  [0x04, 'ST', 'TASK_STOPPED'],
  [0x40, 'PA', 'TASK_PARKED'],
  [0x800, 'NE', 'TASK_NEW'],
  [0x200, 'WA', 'TASK_WAKING'],
  [0x02, 'UN', 'TASK_UNINTERRUPTIBLE'],
  [0x01, 'IN', 'TASK_INTERRUPTIBLE'],
];
const noLoad = 0x400;
const uninterruptible = 0x02;
const kernelThread = 0x0020_0000;
const mostTasks = 2 ** 22;

/** What a task's state is called: `code` as crash shows it, `name` as the kernel does. */
export function describeState(bits: number): { readonly code: TaskStateCode; readonly name: string } {
  if (bits === 0) return { code: 'RU', name: 'TASK_RUNNING' };
  if ((bits & noLoad) !== 0 && (bits & uninterruptible) !== 0) return { code: 'ID', name: 'TASK_IDLE' };
  const found = stateBits.find(([mask]) => (bits & mask) !== 0);
  return found === undefined
    ? { code: '??', name: `0x${bits.toString(16)}` }
    : { code: found[1], name: found[2] };
}

/** Pages of memory that a process has of each kind. */
export type TaskMemory = {
  readonly file: number;
  readonly anonymous: number;
  readonly shared: number;
  /** All that is mapped, there or not. */
  readonly total: number;
};

/** A task: a thread, of the kernel or of a process. What cannot be read is Missing. */
export class KernelTask {
  readonly object: KernelObject;
  readonly pid: number | Missing;
  /** The CPU that it was running on; undefined when it was not running. */
  readonly onCpu: number | undefined;
  readonly #core: KernelCore;

  constructor(core: KernelCore, object: KernelObject, onCpu: number | undefined) {
    this.#core = core;
    this.object = object;
    this.pid = object.member('pid').number();
    this.onCpu = onCpu;
  }

  /** Address of its task_struct. */
  get address(): bigint {
    return this.object.address;
  }

  /** Id of its process: of the first thread. */
  get tgid(): number | Missing {
    return this.object.member('tgid').number();
  }

  get comm(): string | Missing {
    return this.object.member('comm').text();
  }

  /** State and exit state together, as bits. */
  get stateBits(): number | Missing {
    const state = this.object.member('__state', 'state').number();
    const exit = this.object.member('exit_state').number();
    if (isMissing(state)) return state;
    return isMissing(exit) ? exit : (state | exit) >>> 0;
  }

  get state(): { readonly code: TaskStateCode; readonly name: string } | Missing {
    const bits = this.stateBits;
    return isMissing(bits) ? bits : describeState(bits);
  }

  /** The CPU that it ran on last. */
  get cpu(): number | Missing | undefined {
    return this.object.find('cpu', 'thread_info.cpu')?.number();
  }

  /** PF_ flags. */
  get flags(): number | Missing {
    return this.object.member('flags').number();
  }

  get isKernelThread(): boolean {
    return ((known(this.flags) ?? 0) & kernelThread) !== 0;
  }

  /** Lowest address of its kernel stack; 0 when it has given it back. */
  get stack(): bigint | Missing {
    return this.object.member('stack').integer();
  }

  /** Address of its parent's task_struct. */
  get parent(): bigint | Missing {
    return this.object.member('real_parent').integer();
  }

  /** Address of its mm_struct; 0 of a kernel thread. */
  get mm(): bigint | Missing {
    return this.object.member('mm').integer();
  }

  /** Nanoseconds that it ran in user mode and in the kernel. */
  get times(): { readonly user: bigint | Missing; readonly system: bigint | Missing } {
    return { user: this.object.member('utime').integer(), system: this.object.member('stime').integer() };
  }

  /** Nanoseconds after the boot, sleep included, at which it was made. */
  get startTime(): bigint | Missing {
    return this.object.member('start_boottime', 'real_start_time', 'start_time').integer();
  }

  /** Nanoseconds of the scheduler's clock at which it last began to run; undefined when the kernel does not keep it. */
  get lastRun(): bigint | Missing | undefined {
    return this.object.find('sched_info.last_arrival')?.integer();
  }

  /** Pages of its memory; undefined when it has none of its own. */
  memory(): TaskMemory | Missing | undefined {
    const pointer = this.object.member('mm').integer();
    if (isMissing(pointer)) return pointer;
    if (pointer === 0n) return undefined;
    const memory = memoryOf(this.#core, this.#core.object('mm_struct', pointer));
    // Until 6.1 every thread counts for itself first (SPLIT_RSS_COUNTING).
    const own = this.object.find('rss_stat.count') === undefined ? [] : this.threads();
    const kept = (index: number): number =>
      own.reduce(
        (sum, { object }) => sum + (known(object.find(`rss_stat.count[${index}]`)?.number()) ?? 0),
        0,
      );
    return isMissing(memory)
      ? memory
      : {
          ...memory,
          file: memory.file + kept(filePages),
          anonymous: memory.anonymous + kept(anonymousPages),
          shared: memory.shared + kept(sharedPages),
        };
  }

  /** All threads of its process, itself included. */
  threads(): KernelTask[] {
    const signal = known(this.object.member('signal').deref());
    const head = signal?.find('thread_head')?.address;
    const link = this.object.type.place('thread_node')?.offset;
    if (head === undefined || link === undefined) return [this];
    return walkList(this.#core.memory, head, mostTasks).entries.map((entry) => {
      const address = entry - BigInt(link);
      return address === this.address
        ? this
        : new KernelTask(this.#core, this.#core.object('task_struct', address), undefined);
    });
  }
}

export type TaskList = {
  readonly tasks: readonly KernelTask[];
  /** What was wrong with the lists; the tasks that could be reached are there. */
  readonly damage: readonly ListDamage[];
};

/**
 * All tasks: the idle task of every CPU, then processes in the order of the kernel's list, each followed by its other
 * threads. When lists are damaged, what the table of pids has beyond them follows.
 */
export function readTasks(core: KernelCore, cpus: readonly CpuState[]): TaskList {
  const type = core.type('task_struct');
  const initial = core.address('init_task');
  if (type === undefined || initial === undefined) return { tasks: [], damage: [] };
  const running = new Map(
    cpus.flatMap(({ cpu, task }) => (task === undefined ? [] : [[task, cpu] as const])),
  );
  const tasks = new Map<bigint, KernelTask>();
  const add = (address: bigint): void => {
    if (tasks.has(address) || tasks.size >= mostTasks) return;
    const task = new KernelTask(core, core.object('task_struct', address), running.get(address));
    // What is no task at all has no pid to read.
    if (!isMissing(task.pid)) tasks.set(address, task);
  };
  const damage: ListDamage[] = [];
  const walk = (head: bigint, member: string): bigint[] => {
    const offset = BigInt(type.place(member)?.offset ?? 0);
    const list = walkList(core.memory, head, mostTasks);
    if (list.damage !== undefined) damage.push(list.damage);
    return list.entries.map((entry) => entry - offset);
  };

  add(initial);
  for (const { idle } of cpus) if (idle) add(idle);
  const signal = core.type('signal_struct');
  const threads = signal?.place('thread_head');
  const leaders = walk(initial + BigInt(type.place('tasks')?.offset ?? 0), 'tasks');
  for (const leader of leaders) {
    add(leader);
    const shared = known(tasks.get(leader)?.object.member('signal').integer());
    if (!shared || threads === undefined) continue;
    for (const thread of walk(shared + BigInt(threads.offset), 'thread_node')) add(thread);
  }
  if (damage.length > 0) for (const pid of taskPids(core)) for (const task of taskOfPid(core, pid)) add(task);
  // A task that runs is one, wherever it is linked.
  for (const task of running.keys()) add(task);
  return { tasks: [...tasks.values()], damage };
}

function memoryOf(core: KernelCore, mm: KernelObject): TaskMemory | Missing {
  const counters = mm.find('rss_stat.count', 'rss_stat');
  const total = mm.member('total_vm').number();
  if (counters === undefined || isMissing(total)) return isMissing(total) ? total : { ...none, total };
  const counts = [filePages, anonymousPages, sharedPages].map((index) => counterAt(core, counters, index));
  const failed = counts.find((count): count is Missing => isMissing(count));
  if (failed !== undefined) return failed;
  const [file, anonymous, shared] = counts as number[];
  return { file: file!, anonymous: anonymous!, shared: shared!, total };
}

const none = { file: 0, anonymous: 0, shared: 0 };
/** MM_FILEPAGES, MM_ANONPAGES, MM_SHMEMPAGES. */
const [filePages, anonymousPages, sharedPages] = [0, 1, 3] as const;

/** A counter of the pages of one kind: plain, or since 6.2 with a part on each CPU. */
function counterAt(core: KernelCore, counters: KernelObject, index: number): number | Missing {
  const counter = counters.at(index);
  if (isMissing(counter)) return counter;
  const base = (counter.find('count') ?? counter.find('counter'))?.integer() ?? 0n;
  const parts = counter.find('counters')?.integer();
  if (isMissing(base) || parts === undefined) return isMissing(base) ? base : clamp(base);
  if (isMissing(parts)) return parts;
  let sum = BigInt.asIntN(64, base);
  for (const cpu of parts === 0n ? [] : core.cpus('possible')) {
    const address = core.perCpuAddress(parts, cpu);
    sum += BigInt(address === undefined || isMissing(address) ? 0 : (known(core.i32(address)) ?? 0));
  }
  return clamp(sum);
}

/** Counters that are read while others change them may be a little below nothing. */
const clamp = (count: bigint): number => Math.max(0, Number(BigInt.asIntN(64, count)));
