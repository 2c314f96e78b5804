import { KdumpError } from '../lib/errors.ts';
import type { InitrdImage } from './image/kernel-image.ts';
import type { MemoryRange } from './layout/layout-facts.ts';
import type { LoadRequest } from './request.ts';
import type { SegmentPlan } from './segments/plan-segments.ts';
import type { Segment } from './segments/segment.ts';
import { flagBits, type ImageType, type KexecFileFlag, type KexecLoadFlag } from './uapi.ts';

/** One system call of a plan. */
export type Attempt = FileAttempt | PlacedAttempt;

/** kexec_file_load: the kernel reads the files and places them. */
export type FileAttempt = {
  readonly syscall: 'kexec_file_load';
  readonly flags: readonly KexecFileFlag[];
  readonly flagBits: number;
  /** As it is passed; the kernel puts elfcorehdr= before it. */
  readonly commandLine: string;
};

/** kexec_load: we have placed everything. No segments unloads. */
export type PlacedAttempt = {
  readonly syscall: 'kexec_load';
  readonly flags: readonly KexecLoadFlag[];
  readonly flagBits: number;
  readonly commandLine: string;
  /** Physical address of the first instruction. */
  readonly entry: number;
  readonly segments: readonly Segment[];
  /** The memory that the next kernel is told of. */
  readonly e820: readonly MemoryRange[];
  /** What the purgatory checks, hexadecimal; null: it checks nothing. */
  readonly digest: string | null;
  readonly warnings: readonly string[];
};

/** Unloads through kexec_file_load. */
export function fileUnload(type: ImageType): FileAttempt {
  const flags: KexecFileFlag[] = ['KEXEC_FILE_UNLOAD'];
  if (type === 'crash') flags.push('KEXEC_FILE_ON_CRASH');
  return { syscall: 'kexec_file_load', flags, flagBits: flagBits(flags), commandLine: '' };
}

/** Loads through kexec_file_load. */
export function fileAttempt(
  { type, noCma, forceDtb }: LoadRequest,
  initrd: InitrdImage | null,
  commandLine: string,
): FileAttempt {
  const flags: KexecFileFlag[] = [];
  if (type === 'crash') flags.push('KEXEC_FILE_ON_CRASH');
  if (initrd === null) flags.push('KEXEC_FILE_NO_INITRAMFS');
  if (noCma) flags.push('KEXEC_FILE_NO_CMA');
  if (forceDtb) flags.push('KEXEC_FILE_FORCE_DTB');
  return { syscall: 'kexec_file_load', flags, flagBits: flagBits(flags), commandLine };
}

/** Loads through kexec_load what was placed. */
export function placedAttempt({ type, placing }: LoadRequest, plan: SegmentPlan): PlacedAttempt {
  const flags: KexecLoadFlag[] = [];
  if (type === 'crash') flags.push('KEXEC_ON_CRASH');
  if (placing.preserveContext) flags.push('KEXEC_PRESERVE_CONTEXT');
  if (placing.hotplug && type === 'crash') flags.push('KEXEC_UPDATE_ELFCOREHDR');
  const { commandLine, entry, segments, e820, digest, warnings } = plan;
  return { ...segmentless(flags), commandLine, entry, segments, e820, digest, warnings };
}

/** A call of kexec_load without segments, which unloads. */
export function segmentless(flags: readonly KexecLoadFlag[]): PlacedAttempt {
  const all = [...flags, 'KEXEC_ARCH_X86_64' as const];
  return {
    syscall: 'kexec_load',
    flags: all,
    flagBits: flagBits(all),
    commandLine: '',
    entry: 0,
    segments: [],
    e820: [],
    digest: null,
    warnings: [],
  };
}

/** A fallback is a convenience: what speaks against it is a fact of the plan, not an error. */
export function fallbackOf(placed: () => PlacedAttempt): {
  fallback: PlacedAttempt | null;
  noFallback: string | null;
} {
  try {
    return { fallback: placed(), noFallback: null };
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    return { fallback: null, noFallback: error.message };
  }
}
