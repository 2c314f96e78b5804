import { KdumpError } from '../lib/errors.ts';
import {
  type Attempt,
  fallbackOf,
  fileAttempt,
  fileUnload,
  type PlacedAttempt,
  placedAttempt,
  segmentless,
} from './attempts.ts';
import { chooseSyscalls, lockedDown, type SyscallWish } from './choose.ts';
import { type CommandLineSource, composeCommandLine } from './command-line.ts';
import type { InitrdImage, KernelImage } from './image/kernel-image.ts';
import { crashMemory, isLockedDown, type MachineFacts } from './machine.ts';
import { checkMemoryNeed, elfcorehdrRoom, type MemoryNeed, memoryNeed } from './memory-need.ts';
import { permissionErrors } from './permission.ts';
import {
  checkArchitecture,
  checkCommandLine,
  checkFitsMachine,
  noCrashkernel,
  signatureWarnings,
} from './plan-checks.ts';
import type { LoadRequest } from './request.ts';
import type { SegmentPlan } from './segments/plan-segments.ts';
import type { ImageType } from './uapi.ts';

type Common = {
  readonly type: ImageType;
  readonly first: Attempt;
  /** Made only when the first call answers one of `fallbackErrnos`. */
  readonly fallback: PlacedAttempt | null;
  readonly fallbackErrnos: readonly string[];
  /** Why applying this plan would be refused, as JSON errors; empty when nothing is in the way. */
  readonly blockers: readonly object[];
};

export type LoadPlan = Common & {
  readonly action: 'load';
  readonly debug: boolean;
  readonly kernel: {
    readonly path: string;
    readonly size: number;
    readonly kind: KernelImage['kind'];
    readonly wrapping: KernelImage['wrapping'];
    /** What a bzImage says about itself. */
    readonly bzImage: {
      readonly kernel_version: string | null;
      readonly protocol: string;
      readonly init_size: number;
      readonly kernel_alignment: number;
      readonly pref_address: string;
      readonly signed: boolean;
    } | null;
  };
  readonly initrd: { readonly path: string; readonly size: number } | null;
  /** Without what the kernel or the placing adds. */
  readonly commandLine: string;
  readonly commandLineFrom: CommandLineSource;
  /** Bytes without the terminating NUL, and how many there may be (null: the image does not say). */
  readonly commandLineBytes: number;
  readonly commandLineLimit: number | null;
  readonly memory: {
    /** Null for a vmlinux, whose segments say it. */
    readonly needed: MemoryNeed | null;
    /** Where it must fit; null for a normal load, which takes any free memory. */
    readonly reserved: {
      readonly start: string | null;
      readonly end: string | null;
      readonly size: number;
    } | null;
    /** Reserved bytes that remain for the crash kernel to work with. */
    readonly left: number | null;
  };
  /** Why nothing is tried after the first call; null when something is. */
  readonly noFallback: string | null;
  /** Whether an image of this type is loaded already. The kernel drops an old crash image before it looks at the new. */
  readonly replaces: boolean | null;
  readonly warnings: readonly string[];
};

export type UnloadPlan = Common & { readonly action: 'unload'; readonly loaded: boolean | null };

/** --load-jump-back-helper: nothing is copied, a kexec reboot jumps back to where the other kernel waits. */
export type JumpBackPlan = Common & { readonly action: 'load-jump-back'; readonly first: PlacedAttempt };

export type Plan = LoadPlan | UnloadPlan | JumpBackPlan;

/** What is asked for, with which system call. */
export type LoadWish = { readonly request: LoadRequest; readonly syscalls: SyscallWish };

/** The images of a load, which are opened again when it is carried out. */
export type LoadImages = { readonly kernel: KernelImage; readonly initrd: InitrdImage | null };

export type LoadFacts = LoadImages & {
  readonly machine: MachineFacts;
  /** Places everything for kexec_load. @throws KdumpError when it cannot be placed. */
  place(commandLine: string): SegmentPlan;
};

/** kexec-tools goes on with kexec_load after these; others say that the image or the caller is at fault. */
export const fallbackErrnos: readonly string[] = ['ENOSYS', 'EINVAL', 'ENOEXEC', 'EOPNOTSUPP'];

const hex = (address: number): string => `0x${address.toString(16)}`;

/**
 * Decides everything about a load before anything is touched, the fallback included.
 * @throws KdumpError `unsupported-arch`, `no-crashkernel`, `no-hotplug`, `no-command-line`, `command-line-too-long`,
 *   `five-level-paging`, `crashkernel-too-small`, `image-too-large`, what chooseSyscalls throws, and what placing
 *   throws when kexec_load is the only way.
 */
export function planLoad({ request, syscalls }: LoadWish, facts: LoadFacts): LoadPlan {
  const { machine, kernel, initrd } = facts;
  const { bzImage } = kernel;
  checkArchitecture(machine);
  const reserved = request.type === 'crash' ? crashMemory(machine) : null;
  if (request.type === 'crash' && reserved === null) throw noCrashkernel(machine);
  checkFitsMachine(request, kernel, machine);
  const chosen = chooseSyscalls(syscalls, kernel, machine);

  const { text: commandLine, source: commandLineFrom } = composeCommandLine({
    append: request.append,
    reuse: request.reuseCommandLine,
    running: machine.commandLine,
    ofImage: kernel.uki?.commandLine ?? null,
    forCrash: request.type === 'crash',
  });
  const commandLineBytes = Buffer.byteLength(commandLine);
  // The kernel compares a length that counts the NUL with a limit that does not.
  const commandLineLimit = bzImage === null ? null : Math.max(0, bzImage.cmdline_size - elfcorehdrRoom - 1);
  checkCommandLine(kernel, commandLineBytes, commandLineLimit);

  const sizes = {
    init_size: bzImage?.init_size ?? 0,
    initrd: initrd?.size ?? 0,
    commandLine: commandLineBytes,
  };
  const needed = bzImage === null ? null : memoryNeed(request.type, sizes, machine, chosen.first);
  if (needed !== null) checkMemoryNeed(needed, reserved, machine);

  const placed = (): PlacedAttempt => placedAttempt(request, facts.place(commandLine));
  const first = chosen.first === 'kexec_load' ? placed() : fileAttempt(request, initrd, commandLine);
  const { fallback, noFallback } =
    chosen.fallback === null ? { fallback: null, noFallback: chosen.noFallback } : fallbackOf(placed);
  return {
    action: 'load',
    type: request.type,
    debug: request.debug,
    kernel: {
      path: kernel.path,
      size: kernel.size,
      kind: kernel.kind,
      wrapping: kernel.wrapping,
      bzImage:
        bzImage === null
          ? null
          : {
              kernel_version: bzImage.kernel_version,
              protocol: bzImage.protocol,
              init_size: bzImage.init_size,
              kernel_alignment: bzImage.kernel_alignment,
              pref_address: hex(bzImage.pref_address),
              signed: bzImage.signed,
            },
    },
    initrd: initrd === null ? null : { path: initrd.path, size: initrd.size },
    commandLine,
    commandLineFrom,
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
      left: reserved === null || needed === null ? null : reserved.size - needed.total,
    },
    first,
    fallback,
    fallbackErrnos,
    noFallback,
    replaces: machine.loaded[request.type],
    warnings: [
      ...signatureWarnings(kernel, machine),
      ...(first.syscall === 'kexec_load' ? first.warnings : []),
    ],
    blockers: blockersOf(request.type, machine),
  };
}

/** Unloading goes through kexec_file_load where there is one: under lockdown kexec_load is forbidden even for that. */
export function planUnload(type: ImageType, machine: MachineFacts): UnloadPlan {
  return {
    action: 'unload',
    type,
    first: fileUnload(type),
    fallback: isLockedDown(machine) ? null : segmentless(type === 'crash' ? ['KEXEC_ON_CRASH'] : []),
    fallbackErrnos: ['ENOSYS'],
    loaded: machine.loaded[type],
    blockers: blockersOf(type, machine),
  };
}

/**
 * @param entry physical address that the other kernel waits at.
 * @throws KdumpError `unsupported-arch`, `locked-down`, or `already-loaded`: this must not replace a kernel.
 */
export function planJumpBack(entry: number, machine: MachineFacts): JumpBackPlan {
  checkArchitecture(machine);
  if (isLockedDown(machine)) throw lockedDown('only kexec_load knows --load-jump-back-helper', machine);
  if (machine.loaded.normal === true)
    throw new KdumpError('already-loaded', 'an image for the next kexec reboot is loaded already', {
      fix: 'Unload it first: kexec -u.',
    });
  // The kernel takes an image without segments as "unload", so there is one, of no bytes.
  const nothing = { name: 'purgatory', bytes: new Uint8Array(0), mem: 0, memsz: 0, verified: false } as const;
  return {
    action: 'load-jump-back',
    type: 'normal',
    first: { ...segmentless(['KEXEC_PRESERVE_CONTEXT']), entry, segments: [nothing] },
    fallback: null,
    fallbackErrnos: [],
    blockers: blockersOf('normal', machine),
  };
}

const blockersOf = (type: ImageType, machine: MachineFacts): object[] =>
  permissionErrors(type, machine).map((error) => error.toJSON());
