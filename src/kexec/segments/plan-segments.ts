import { KdumpError } from '../../lib/errors.ts';
import { type Range, subtract } from '../../lib/ranges.ts';
import type { ImageContent, KernelImage } from '../image/kernel-image.ts';
import type { LayoutFacts, MemoryRange } from '../layout/layout-facts.ts';
import { purgatorySize } from '../purgatory/purgatory.ts';
import type { LoadRequest } from '../request.ts';
import { exitCodes } from '../uapi.ts';
import { bootInformation } from './boot-information.ts';
import { type BootInformation, bootParamsParcel } from './boot-params.ts';
import { checkCrashEntry, checkSegments } from './check.ts';
import { placeCrashSegments } from './crash-segments.ts';
import { bzImageBlock, type KernelBlock } from './kernel-block.ts';
import { checkCommandLine } from './next-command-line.ts';
import { Placement } from './placement.ts';
import { purgatoryFor } from './purgatory-segment.ts';
import type { Segment, SegmentName } from './segment.ts';
import { usableMemory } from './usable-memory.ts';
import { vmlinuxBlock } from './vmlinux.ts';

export type SegmentInput = {
  readonly request: LoadRequest;
  readonly kernel: KernelImage;
  readonly initrd: ImageContent | null;
  readonly commandLine: string;
  readonly layout: LayoutFacts;
  /** 32 random bytes for the next kernel. */
  readonly randomSeed: Uint8Array;
};

/** A load by kexec_load, decided down to the byte. */
export type SegmentPlan = {
  /** Physical address of the first instruction. */
  readonly entry: number;
  /** By address, ascending. */
  readonly segments: readonly Segment[];
  /** As the next kernel gets it; empty where it gets none. */
  readonly commandLine: string;
  /** The memory map that the next kernel gets. */
  readonly e820: readonly MemoryRange[];
  /** SHA-256 that the purgatory compares, of the verified segments' memory; null when it checks nothing. */
  readonly digest: string | null;
  readonly warnings: readonly string[];
};

/** Where kexec-tools begins to look for room for the purgatory and boot_params, and for the initrd. */
const ABOVE_REAL_MODE = 0x3000;
const ABOVE_OLD_KERNELS = 16 * 1024 * 1024;

/**
 * Decides where everything of a load by kexec_load goes, and builds it. Pieces are placed from the top of the memory
 * down, in the order of kexec-tools, so that kernel and initrd come to lie where they would with it.
 * @throws KdumpError `no-room` and whatever else stands against this load; nothing has been touched then
 */
export function planSegments(input: SegmentInput): SegmentPlan {
  const { request, kernel, layout, initrd } = input;
  const { placing } = request;
  const block =
    kernel.bzImage === null ? vmlinuxBlock(kernel.content) : bzImageBlock(kernel.content, kernel.bzImage);
  const parameters = takesParameters(input);
  const placement = new Placement(usableMemory(request, layout));
  const atHome = request.type === 'normal' ? placeLinked(block, placement) : null;
  const looksBack = request.type === 'crash' || placing.preserveContext;
  const crash = looksBack ? placeCrashSegments(placing, layout, placement) : null;
  const told = bootInformation(input, block, crash, placement.allowed);
  checkCommandLine(told, block.cmdline_size, kernel.path);
  const parcel = bootParamsParcel(told);

  const place = placement.place.bind(placement);
  const purgatoryPlace = place('the purgatory', purgatorySize, { lowest: ABOVE_REAL_MODE });
  const parcelPlace = parameters ? place('boot_params', parcel.size, { lowest: ABOVE_REAL_MODE }) : null;
  const kernelPlace = atHome ?? place('the kernel', block.memsz, block);
  const initrdPlace =
    initrd === null ? null : place('the initrd', initrd.size, { lowest: ABOVE_OLD_KERNELS });

  const loaded: Segment[] = [segmentAt(kernelPlace, 'kernel', block.bytes)];
  if (initrdPlace !== null) loaded.push(segmentAt(initrdPlace, 'initrd', initrd!.read(0, initrd!.size)));
  if (parcelPlace !== null) {
    const ramdisk = initrdPlace && { address: initrdPlace.start, size: initrd!.size };
    loaded.push(segmentAt(parcelPlace, 'boot_params', parcel.write(parcelPlace.start, ramdisk)));
  }
  if (crash !== null) loaded.push(crash.elfcorehdr);
  if (crash?.backup) loaded.push(crash.backup.segment);
  if (placing.preserveContext) loaded.push(...placement.free.map(exchanged));
  loaded.sort(byAddress);

  const rsi = parcelPlace?.start ?? 0;
  const start = {
    rip: kernelPlace.start + block.entry,
    rsi,
    commandLine: told.commandLine,
    commandLineEnd: rsi + parcel.commandLineEnd,
  };
  const purgatory = purgatoryFor(placing, start, loaded, crash?.backup ?? null);
  const { digest } = purgatory;
  loaded.push({ ...segmentAt(purgatoryPlace, 'purgatory', purgatory.bytes), verified: false });
  const segments = loaded.toSorted(byAddress);
  const entry = placing.entry ?? purgatoryPlace.start + purgatory.entry;
  checkSegments(segments, placement.allowed, subtract(layout.ram, layout.crashRegions));
  if (request.type === 'crash') checkCrashEntry(entry, placement.allowed);
  return {
    entry,
    segments,
    commandLine: parameters ? told.commandLine : '',
    e820: told.e820,
    digest: digest === null ? null : Buffer.from(digest).toString('hex'),
    warnings: warningsOf(input, told),
  };
}

/**
 * Whether the kernel is handed boot_params: all are but those that --args-none asks it for.
 * @throws KdumpError `kernel-arguments` for a way of handing over that there is not, or that would lose something
 */
function takesParameters({ request, kernel, initrd, commandLine }: SegmentInput): boolean {
  const { elfArguments, preserveContext } = request.placing;
  if (kernel.bzImage !== null || elfArguments === null || elfArguments === 'linux') return true;
  const refuse = (why: string) =>
    new KdumpError('kernel-arguments', `--args-${elfArguments}: ${why}`, {
      fix: 'Use --args-linux, which Linux kernels understand.',
      exitCode: exitCodes.failed,
    });
  if (elfArguments === 'elf') throw refuse('ELF boot notes are not built');
  if (request.type === 'crash' || preserveContext || initrd !== null || commandLine !== '')
    throw refuse('a kernel without arguments is told of no initrd, no command line and no other kernel');
  return false;
}

/** An unpacked kernel stays where it was linked for when it can: not every one can be moved. */
function placeLinked({ linked, memsz }: KernelBlock, placement: Placement): Range | null {
  return linked === null ? null : placement.placeAt(linked, memsz);
}

function segmentAt({ start, end }: Range, name: SegmentName, bytes: Uint8Array): Segment {
  return { name, bytes, mem: start, memsz: end - start, verified: true };
}

/** Memory that the next kernel may use: the kernel that is left has it back when it is returned to. */
function exchanged(range: Range): Segment {
  return { ...segmentAt(range, 'preserved', new Uint8Array(0)), verified: false };
}

const byAddress = (a: Segment, b: Segment): number => a.mem - b.mem;

function warningsOf({ request, layout }: SegmentInput, { efi }: BootInformation): string[] {
  const withoutEfi = request.placing.efi && layout.efi !== null && efi === null;
  return [
    ...layout.warnings,
    ...(withoutEfi
      ? ["EFI's run-time services cannot be handed over: the next kernel has no EFI variables"]
      : []),
  ];
}
