import type { Backtrace, Frame } from '../../kernel/backtrace.ts';
import { known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import { lettersOfTaints } from '../../kernel/modules.ts';
import type { Registers } from '../../kernel/registers.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { blamedFrames } from './blame.ts';
import { BugTable } from './bug-table.ts';
import { type Context, contextOf } from './context.ts';
import { frameText, hexText, placeText } from './frame-text.ts';
import { type Finding, identify } from './identify.ts';
import { faultingOperand, type MemoryOperand } from './memory-operand.ts';
import { type StackObject, stackObjects } from './objects.ts';
import { type CrashReason, crashReason } from './reason.ts';
import { type Signature, signatureOf } from './signature.ts';

export type TaskFacts = {
  readonly pid: number | null;
  readonly comm: string | null;
  readonly address: string;
  readonly cpu: number | null;
  readonly state: string | null;
};

/** What a crash was, on one screen. Plain JSON; addresses are "0x…". */
export type Triage = {
  readonly reason: CrashReason;
  readonly signature: Signature;
  /** The task that panicked, and its CPU; null when none did. */
  readonly panicTask: TaskFacts | null;
  /** The task to blame: another one when a watchdog found it stuck. */
  readonly task: TaskFacts | null;
  /** What the kernel was doing where it went wrong. */
  readonly context: Context | null;
  /** The first function outside the crash's own machinery. */
  readonly blamed: {
    readonly place: string;
    readonly function: string;
    readonly module: string | null;
    /** 'kernel/panic.c:273' where it is a BUG() or WARN(). */
    readonly source: string | null;
  } | null;
  /** Its frames from there on, the innermost first. */
  readonly trace: readonly string[];
  readonly fault: {
    readonly address: string;
    readonly access: 'read' | 'write' | 'execute' | null;
    readonly findings: readonly Finding[];
    /** How the instruction formed the address, and what the registers were: 'rax+0xe8', of which rax is 0x0. */
    readonly operand: { readonly text: string; readonly registers: Readonly<Record<string, string>> } | null;
  } | null;
  /** What the blamed stack leads to, named objects first. */
  readonly objects: readonly StackObject[];
  readonly lastUnloaded: string | null;
  readonly taints: string | null;
  readonly taintedModules: readonly { readonly name: string; readonly taints: string }[];
};

/** Objects that are told of. */
const mostObjects = 24;

/**
 * Everything that there is to know of a crash at first sight.
 * @param log the kernel's log as text; '' when it cannot be read
 */
export function triage(kernel: Kernel, log: string): Triage {
  const reason = crashReason(log);
  const panicked = kernel.panicTask;
  const { task, trace } = blamedTrace(kernel, reason, panicked);
  const blamed = blamedFrames(trace.frames, reason.class === 'hung-task');
  const mask = kernel.symbol('tainted_mask');
  const taints = mask === undefined ? undefined : known(kernel.core.u64(mask.address));
  return {
    reason,
    signature: signatureOf(reason.class, blamed),
    panicTask: panicked === undefined ? null : factsOf(panicked),
    task: task === undefined ? null : factsOf(task),
    context: blamed.length === 0 ? null : contextOf(blamed),
    blamed: blamed[0] === undefined ? null : blameOf(kernel, blamed[0]),
    trace: blamed.map(frameText),
    fault: faultOf(kernel, reason, blamed[0]),
    objects: stackObjects(kernel, blamed).slice(0, mostObjects),
    lastUnloaded: kernel.lastUnloadedModule ?? null,
    taints: taints === undefined ? null : lettersOfTaints(taints),
    taintedModules: kernel.modules.flatMap(({ name, taints: own }) =>
      typeof own === 'string' && own !== '' ? [{ name, taints: own }] : [],
    ),
  };
}

/** The stack that went wrong: of who panicked, or of the task or CPU that a watchdog named. */
function blamedTrace(
  kernel: Kernel,
  { pid, cpu, class: kind }: CrashReason,
  panicked: KernelTask | undefined,
): { readonly task: KernelTask | undefined; readonly trace: Backtrace } {
  const nothing: Backtrace = { frames: [], stop: { reason: 'no-registers' } };
  const stuck = kind === 'hung-task' ? kernel.tasks.find((each) => each.pid === pid) : undefined;
  if (stuck !== undefined) return { task: stuck, trace: kernel.backtrace(stuck) };
  const named = kind.endsWith('-lockup') ? kernel.cpus.find((each) => each.cpu === cpu) : undefined;
  if (named?.task !== undefined)
    return { task: kernel.task(named.task), trace: kernel.backtrace({ cpu: named.cpu }) };
  return { task: panicked, trace: panicked === undefined ? nothing : kernel.backtrace(panicked) };
}

function factsOf(task: KernelTask): TaskFacts {
  return {
    pid: known(task.pid) ?? null,
    comm: known(task.comm) ?? null,
    address: hexText(task.address),
    cpu: task.onCpu ?? known(task.cpu) ?? null,
    state: known(task.state)?.name ?? null,
  };
}

function blameOf(kernel: Kernel, { place, ip }: Frame): NonNullable<Triage['blamed']> {
  const site = new BugTable(kernel).at(ip);
  return {
    place: place === undefined ? hexText(ip) : placeText(place),
    function: place?.symbol.name ?? hexText(ip),
    module: place?.symbol.module?.name ?? null,
    source: site?.file === undefined ? null : `${site.file}:${site.line}`,
  };
}

function faultOf(
  kernel: Kernel,
  { address: text, access }: CrashReason,
  frame: Frame | undefined,
): Triage['fault'] {
  if (text === undefined) return null;
  const address = BigInt(text);
  const registers = frame?.registers;
  const code = frame && kernel.core.memory.read(frame.ip, longestInstruction);
  const operand =
    registers === undefined || code === undefined || isMissing(code)
      ? undefined
      : faultingOperand(code, registers, address);
  return {
    address: text,
    access: access ?? null,
    findings: identify(kernel, address),
    operand: operand === undefined ? null : { text: operand.text, registers: valuesOf(operand, registers!) },
  };
}

const longestInstruction = 15;

const valuesOf = ({ base, index }: MemoryOperand, registers: Registers): Record<string, string> =>
  Object.fromEntries(
    [base, index].flatMap((name) => (name === undefined ? [] : [[name, hexText(registers[name]!)]])),
  );
