import { KdumpError } from '../lib/errors.ts';
import { appendParameters, reusedCommandLine, splitWords } from './command-line.ts';
import type { InitrdFile, KernelFile } from './files.ts';
import { crashMemory, type MachineFacts } from './machine.ts';
import { permissionErrors } from './permission.ts';
import { exitCodes, flagBits, type ImageType, type KexecFileFlag } from './uapi.ts';

/** What is asked for. */
export type LoadRequest = {
  readonly type: ImageType;
  /** --append, or null. */
  readonly append: string | null;
  /** Begin with the running kernel's command line. */
  readonly reuseCommandLine: boolean;
  /** Let the kernel log where it puts things, where it can. */
  readonly debug: boolean;
};

export type LoadFacts = {
  readonly machine: MachineFacts;
  readonly kernel: KernelFile;
  readonly initrd: InitrdFile | null;
};

/** Bytes of memory, every part rounded up to pages. */
export type MemoryNeed = {
  /** init_size: the uncompressed kernel and what it uses before it knows the memory map. */
  readonly kernel: number;
  readonly initrd: number;
  /** ELF core header, for a crash kernel only. */
  readonly elfcorehdr: number;
  /** boot_params with the command line. */
  readonly boot_params: number;
  readonly purgatory: number;
  readonly total: number;
};

export type LoadPlan = {
  readonly action: 'load';
  readonly type: ImageType;
  readonly syscall: 'kexec_file_load';
  readonly flags: readonly KexecFileFlag[];
  readonly flagBits: number;
  readonly debug: boolean;
  readonly kernel: {
    readonly path: string;
    readonly size: number;
    readonly kernel_version: string | null;
    readonly protocol: string;
    readonly init_size: number;
    readonly kernel_alignment: number;
    readonly pref_address: string;
    readonly signed: boolean;
  };
  readonly initrd: InitrdFile | null;
  readonly commandLine: string;
  /** Bytes without the terminating NUL, and how many there may be. */
  readonly commandLineBytes: number;
  readonly commandLineLimit: number;
  readonly memory: {
    readonly needed: MemoryNeed;
    /** Where it must fit; null for a normal load, which takes any free memory. */
    readonly reserved: {
      readonly start: string | null;
      readonly end: string | null;
      readonly size: number;
    } | null;
    /** Reserved bytes that remain for the crash kernel to work with. */
    readonly left: number | null;
  };
  /** Whether an image of this type is loaded already. The kernel drops an old crash image before it looks at the new. */
  readonly replaces: boolean | null;
  readonly warnings: readonly string[];
  /** Why applying this plan would be refused, as JSON errors; empty when nothing is in the way. */
  readonly blockers: readonly object[];
};

export type UnloadPlan = {
  readonly action: 'unload';
  readonly type: ImageType;
  readonly syscall: 'kexec_file_load';
  readonly flags: readonly KexecFileFlag[];
  readonly flagBits: number;
  readonly loaded: boolean | null;
  readonly blockers: readonly object[];
};

export type Plan = LoadPlan | UnloadPlan;

const PAGE = 4096;
const MIB = 1024 * 1024;
/** "elfcorehdr=0x<16 digits> " that the kernel puts before the command line of a crash kernel; it asks for the room
 * in a normal load, too (MAX_ELFCOREHDR_STR_LEN in arch/x86/kernel/kexec-bzimage64.c). */
const ELFCOREHDR_ROOM = 30;
/** The running kernel's own purgatory with its stack, as KEXEC_FILE_DEBUG reports it on 6.12. */
const PURGATORY = 0x5000;
/** struct boot_params; behind it the command line, and setup_data for EFI and the random seed (at least these). */
const BOOT_PARAMS = 4096;
const SETUP_DATA = 16 + 32 + 16 + 32;

const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
const hex = (address: number): string => `0x${address.toString(16)}`;
const mib = (bytes: number): string => `${Math.ceil((bytes / MIB) * 10) / 10} MiB`;

/**
 * Decides everything about a load before anything is touched.
 * @throws KdumpError `unsupported-arch`, `no-crashkernel`, `no-command-line`, `command-line-too-long`,
 *   `five-level-paging`, `crashkernel-too-small` or `image-too-large`.
 */
export function planLoad(request: LoadRequest, facts: LoadFacts): LoadPlan {
  const { machine, kernel, initrd } = facts;
  const crash = request.type === 'crash';
  if (machine.arch !== 'x86_64')
    throw new KdumpError(
      'unsupported-arch',
      `this machine is ${machine.arch}; only x86_64 kernels can be loaded`,
      {
        facts: { arch: machine.arch },
      },
    );
  const reserved = crash ? crashMemory(machine) : null;
  if (crash && reserved === null) throw noCrashkernel(machine);
  if (machine.fiveLevelPaging === true && !kernel.image.five_level)
    throw new KdumpError(
      'five-level-paging',
      `${kernel.path}: this machine runs with 5-level page tables, which this kernel cannot be entered with`,
      {
        fix: 'Boot this machine with no5lvl, or use a kernel built with CONFIG_X86_5LEVEL.',
        exitCode: exitCodes.failed,
      },
    );

  const commandLine = composeCommandLine(request, machine);
  const commandLineBytes = Buffer.byteLength(commandLine);
  // The kernel compares a length that counts the NUL with a limit that does not.
  const commandLineLimit = Math.max(0, kernel.image.cmdline_size - ELFCOREHDR_ROOM - 1);
  if (commandLineBytes > commandLineLimit)
    throw new KdumpError(
      'command-line-too-long',
      `the command line has ${commandLineBytes} bytes; ${kernel.path} takes ${commandLineLimit}`,
      {
        fix: 'Shorten --append, or do not use --reuse-cmdline.',
        facts: { commandLineBytes, commandLineLimit, cmdline_size: kernel.image.cmdline_size },
        exitCode: exitCodes.failed,
      },
    );

  const needed = memoryNeed(request.type, facts, commandLineBytes);
  if (reserved !== null && needed.total > reserved.size)
    throw new KdumpError(
      'crashkernel-too-small',
      `the crash kernel needs at least ${mib(needed.total)} (kernel ${mib(needed.kernel)}, initrd ${mib(needed.initrd)}), crashkernel= has reserved ${mib(reserved.size)}`,
      {
        fix: 'Raise crashkernel= on the kernel command line and reboot, or make the initrd smaller.',
        facts: { ...needed, reserved: reserved.size },
        exitCode: exitCodes.failed,
      },
    );
  // sanity_check_segment_list() in kernel/kexec_core.c: for crash kernels, too.
  if (machine.memTotal !== null && needed.total > machine.memTotal / 2)
    throw new KdumpError(
      'image-too-large',
      `the new kernel needs at least ${mib(needed.total)} (kernel ${mib(needed.kernel)}, initrd ${mib(needed.initrd)}); the kernel allows half of this machine's ${mib(machine.memTotal)}`,
      {
        fix: 'Make the initrd smaller, or give the machine more memory.',
        facts: { ...needed, memTotal: machine.memTotal },
        exitCode: exitCodes.failed,
      },
    );

  const flags: KexecFileFlag[] = [];
  if (crash) flags.push('KEXEC_FILE_ON_CRASH');
  if (initrd === null) flags.push('KEXEC_FILE_NO_INITRAMFS');
  const { image } = kernel;
  return {
    action: 'load',
    type: request.type,
    syscall: 'kexec_file_load',
    flags,
    flagBits: flagBits(flags),
    debug: request.debug,
    kernel: {
      path: kernel.path,
      size: kernel.size,
      kernel_version: image.kernel_version,
      protocol: image.protocol,
      init_size: image.init_size,
      kernel_alignment: image.kernel_alignment,
      pref_address: hex(image.pref_address),
      signed: image.signed,
    },
    initrd,
    commandLine,
    commandLineBytes,
    commandLineLimit,
    memory: {
      needed,
      reserved:
        reserved === null
          ? null
          : {
              start: reserved.start === null ? null : hex(reserved.start),
              end: reserved.end === null ? null : hex(reserved.end),
              size: reserved.size,
            },
      left: reserved === null ? null : reserved.size - needed.total,
    },
    replaces: machine.loaded[request.type],
    warnings: warningsOf(facts),
    blockers: permissionErrors(request.type, machine).map((error) => error.toJSON()),
  };
}

/** Unloading goes through kexec_file_load, too: under lockdown kexec_load is forbidden even for that. */
export function planUnload(type: ImageType, machine: MachineFacts): UnloadPlan {
  const flags: KexecFileFlag[] = ['KEXEC_FILE_UNLOAD'];
  if (type === 'crash') flags.push('KEXEC_FILE_ON_CRASH');
  return {
    action: 'unload',
    type,
    syscall: 'kexec_file_load',
    flags,
    flagBits: flagBits(flags),
    loaded: machine.loaded[type],
    blockers: permissionErrors(type, machine).map((error) => error.toJSON()),
  };
}

function composeCommandLine(request: LoadRequest, machine: MachineFacts): string {
  if (!request.reuseCommandLine) return request.append ?? '';
  if (machine.commandLine === null)
    throw new KdumpError('no-command-line', '--reuse-cmdline: /proc/cmdline cannot be read', {
      fix: 'Mount /proc, or give the whole command line with --append.',
    });
  return appendParameters(
    reusedCommandLine(machine.commandLine, request.type === 'crash'),
    request.append ?? '',
  );
}

/**
 * What the kernel will certainly place in memory, so that a refusal is never wrong. It may take a little more:
 * alignment, page tables, EFI's memory map.
 */
function memoryNeed(type: ImageType, facts: LoadFacts, commandLineBytes: number): MemoryNeed {
  const { machine, kernel, initrd } = facts;
  const parts = {
    kernel: pages(kernel.image.init_size),
    initrd: pages(initrd?.size ?? 0),
    elfcorehdr: type === 'crash' ? elfcorehdrSize(machine) : 0,
    boot_params: pages(BOOT_PARAMS + commandLineBytes + 1 + ELFCOREHDR_ROOM + SETUP_DATA),
    purgatory: PURGATORY,
  };
  return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
}

/** ELF header, a note for each possible CPU and for vmcoreinfo, the kernel's text, one segment for each RAM range. */
function elfcorehdrSize(machine: MachineFacts): number {
  if (machine.crash.elfcorehdrSize !== null) return pages(machine.crash.elfcorehdrSize);
  return pages(64 + 56 * ((machine.possibleCpus ?? 1) + 2 + machine.ramRanges));
}

function warningsOf({ machine, kernel }: LoadFacts): string[] {
  const { lockdown } = machine.permission;
  if (lockdown === null || lockdown === 'none' || kernel.image.signed) return [];
  return [
    `the kernel is locked down (${lockdown}) and ${kernel.path} carries no signature: loading will be refused, unless IMA vouches for the file`,
  ];
}

function noCrashkernel({ commandLine, crash }: MachineFacts): KdumpError {
  const asked = splitWords(commandLine ?? '').find((word) => word.startsWith('crashkernel='));
  const why =
    asked !== undefined
      ? `, although the kernel command line has ${asked}`
      : commandLine === null
        ? ''
        : ': crashkernel= is not on the kernel command line';
  return new KdumpError('no-crashkernel', `no memory is reserved for a crash kernel${why}`, {
    fix:
      asked === undefined
        ? 'Add crashkernel=, for example crashkernel=256M, to the kernel command line and reboot.'
        : 'The kernel could not reserve that much, or this machine is below the sizes given: see `dmesg | grep -i crash`.',
    facts: { crashkernel: asked ?? null, crashSize: crash.size },
  });
}
