import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { PhysicalMemory } from '../kernel/memory.ts';
import type { KernelTask } from '../kernel/tasks.ts';
import { KdumpError } from '../lib/errors.ts';
import type { CommandTable } from './command.ts';

/** What is known of the file that a kernel's memory comes from. */
export type DumpFacts = {
  /** Files it consists of. */
  readonly paths: readonly string[];
  readonly format: 'kdump-compressed' | 'ELF' | 'live';
  /** What makedumpfile left out, as the bits of -d; undefined of a raw core and of a live kernel. */
  readonly dumpLevel: number | undefined;
  /** The collector did not get to its end. */
  readonly incomplete: boolean;
  /** Seconds since the epoch at which the dump was made, where its header tells. */
  readonly madeAt: number | undefined;
  readonly vmcoreinfo: Vmcoreinfo;
  /** Pages of memory that the file describes, and those of them whose content it holds; counted when asked. */
  pages(): { readonly present: number; readonly held: number };
  /** Physical memory itself, for what is asked by physical address. */
  readonly physical: PhysicalMemory;
};

/** A vmlinux that was given along: what only debug information tells. */
export type Namelist = {
  readonly path: string;
  /** 'kernel/panic.c: 273' of a run-time address of the kernel's image; undefined when it is not known. */
  sourceLine(address: bigint): string | undefined;
  /** The text of a source file by that name; undefined when it is not on this machine. */
  sourceText?(file: string): string | undefined;
};

/** Begins a file for what a command saves; only who runs the session may touch files. */
export type SaveFile = (path: string) => { write(bytes: Uint8Array): void; close(): void };

/** What `set` changes. */
export type Settings = {
  /** In which integers are shown where no option says so. */
  radix: 10 | 16;
};

export type SessionParts = {
  readonly kernel: Kernel;
  readonly dump: DumpFacts;
  readonly commands: CommandTable;
  readonly namelist?: Namelist | undefined;
  readonly saveFile?: SaveFile | undefined;
};

/** One analysis: a kernel, the dump it is in, and the task that commands are about when nothing else is said. */
export class Session {
  readonly kernel: Kernel;
  readonly dump: DumpFacts;
  readonly commands: CommandTable;
  readonly namelist: Namelist | undefined;
  readonly saveFile: SaveFile | undefined;
  readonly settings: Settings;
  #task: KernelTask | undefined;

  constructor(parts: SessionParts, settings: Settings = { radix: 10 }) {
    this.kernel = parts.kernel;
    this.dump = parts.dump;
    this.commands = parts.commands;
    this.namelist = parts.namelist;
    this.saveFile = parts.saveFile;
    this.settings = settings;
  }

  /** The kernel runs, and changes while it is looked at. */
  get isLive(): boolean {
    return this.dump.format === 'live';
  }

  /** The task of the context: the one that panicked until `set` chose another. @throws KdumpError `no-tasks` */
  get task(): KernelTask {
    this.#task ??= this.kernel.panicTask ?? this.kernel.tasks[0];
    if (this.#task !== undefined) return this.#task;
    throw new KdumpError('no-tasks', 'the tasks of this kernel cannot be found', {
      fix: 'The dump lacks its symbols or types; log and sys need neither.',
    });
  }

  set task(task: KernelTask) {
    this.#task = task;
  }

  /** The same session with another task as its context, as foreach needs it. */
  at(task: KernelTask): Session {
    const other = new Session(this, this.settings);
    other.task = task;
    return other;
  }
}
