import { type KernelCore, known } from './core.ts';
import { isMissing, type Missing } from './memory.ts';
import { type Registers, readCrashNote, registersOfNotes } from './registers.ts';

/** A CPU as the crash left it. */
export type CpuState = {
  readonly cpu: number;
  /** Address of the task_struct that was running on it. */
  readonly task: bigint | undefined;
  /** Address of its idle task. */
  readonly idle: bigint | undefined;
  /** What it saved when it was stopped; undefined when it never answered. */
  readonly registers: Registers | Missing | undefined;
};

/**
 * All CPUs that were online, and those that are not but saved registers.
 * @param notes the dump's own notes, for dumps that no capture kernel took: their CPUs have no notes in memory
 */
export function readCpus(core: KernelCore, notes: Uint8Array | undefined): CpuState[] {
  const online = core.cpus('online');
  const inMemory = new Map(core.cpus('possible').map((cpu) => [cpu, noteOf(core, cpu)]));
  const saved = [...inMemory.values()].some((registers) => registers !== undefined && !isMissing(registers));
  // Those of a file are in the order of the CPUs, but do not tell which they are.
  const ofFile = saved || notes === undefined ? [] : registersOfNotes(notes);
  return core
    .cpus('possible')
    .filter((cpu) => online.includes(cpu) || isThere(inMemory.get(cpu)))
    .map((cpu, place) => ({
      cpu,
      task: currentTask(core, cpu),
      idle: runQueueTask(core, cpu, 'idle'),
      registers: saved ? inMemory.get(cpu) : (ofFile[place] ?? inMemory.get(cpu)),
    }));
}

const isThere = (registers: Registers | Missing | undefined): boolean =>
  registers !== undefined && !isMissing(registers);

/**
 * The CPU whose panic took the dump: panic_cpu, which oopses set too; before 4.4 crashing_cpu; else the one that ran
 * the crash's own code. Undefined when nothing panicked (a dump from outside).
 */
export function panicCpu(core: KernelCore, cpus: readonly CpuState[]): number | undefined {
  for (const symbol of ['panic_cpu', 'crashing_cpu']) {
    const address = core.address(symbol);
    const cpu = address === undefined ? undefined : known(core.i32(address));
    if (cpu !== undefined && cpus.some((each) => each.cpu === cpu)) return cpu;
  }
  const start = core.address('__crash_kexec');
  const near = 4096n;
  return cpus.find(({ registers }) => {
    const rip = known(registers)?.rip;
    return start !== undefined && rip !== undefined && rip >= start && rip < start + near;
  })?.cpu;
}

/** crash_notes is a pointer into per-CPU memory. */
function noteOf(core: KernelCore, cpu: number): Registers | Missing | undefined {
  const variable = core.address('crash_notes');
  const base = variable === undefined ? undefined : known(core.u64(variable));
  const note = base ? core.perCpuAddress(base, cpu) : undefined;
  return note === undefined || isMissing(note) ? note : readCrashNote(core.memory, note);
}

/** A member of pcpu_hot where the kernel has that (6.2 to 6.14), else the per-CPU variable of the same name. */
export function hotPointer(core: KernelCore, name: string, cpu: number): bigint | undefined {
  const hot = core.perCpu('pcpu_hot', cpu);
  const place = core.type('pcpu_hot')?.place(name);
  if (hot !== undefined && !isMissing(hot) && place !== undefined)
    return known(core.u64(hot + BigInt(place.offset)));
  return core.perCpuPointer(name, cpu);
}

function currentTask(core: KernelCore, cpu: number): bigint | undefined {
  return hotPointer(core, 'current_task', cpu) ?? runQueueTask(core, cpu, 'curr');
}

function runQueueTask(core: KernelCore, cpu: number, member: 'curr' | 'idle'): bigint | undefined {
  const queue = core.perCpu('runqueues', cpu);
  const place = core.type('rq')?.place(member);
  if (queue === undefined || isMissing(queue) || place === undefined) return undefined;
  return known(core.u64(queue + BigInt(place.offset)));
}
