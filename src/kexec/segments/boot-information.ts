import { type Range, subtract } from '../../lib/ranges.ts';
import type { LayoutFacts, MemoryRange } from '../layout/layout-facts.ts';
import type { LoadRequest } from '../request.ts';
import type { BootInformation } from './boot-params.ts';
import type { CrashSegments } from './crash-segments.ts';
import { crashMap, memmapWords, preservingMap } from './e820.ts';
import { efiHandover } from './efi.ts';
import type { KernelBlock } from './kernel-block.ts';
import { nextCommandLine } from './next-command-line.ts';
import type { Segment } from './segment.ts';

/** " kexec_jump_back_entry=0x" and sixteen digits, which the purgatory appends. */
const JUMP_BACK = 41;

export type Asked = {
  readonly request: LoadRequest;
  readonly commandLine: string;
  readonly layout: LayoutFacts;
  readonly randomSeed: Uint8Array;
};

/**
 * Everything that the next kernel is told.
 * @param usable memory that segments may lie in
 */
export function bootInformation(
  { request, commandLine, layout, randomSeed }: Asked,
  kernel: KernelBlock,
  crash: CrashSegments | null,
  usable: readonly Range[],
): BootInformation {
  const { preserveContext, memmapOnCommandLine } = request.placing;
  const efi = efiHandover(request, kernel, layout);
  const memory = memoryFor(request, layout, crash, usable);
  const inWords = request.type === 'crash' && memmapOnCommandLine;
  // Kernels before 5.0 do not look for ACPI's root pointer in boot_params, and cannot find it on a machine with EFI.
  const needsRsdp = efi === null && (request.type === 'crash' || layout.efi !== null);
  return {
    setupHeader: kernel.setupHeader,
    commandLine: nextCommandLine(commandLine, {
      acpiRsdp: needsRsdp ? layout.acpiRsdp : null,
      elfcorehdr: crash?.elfcorehdr.mem ?? null,
      memmap: inWords ? memmapWords(memory) : null,
    }),
    commandLineRoom: preserveContext ? JUMP_BACK : 0,
    e820: inWords ? layout.memoryMap : memory,
    efi,
    acpiRsdp: layout.acpiRsdp,
    randomSeed,
    running: layout.bootParams,
  };
}

/** The memory that the next kernel may use, and what else there is. */
function memoryFor(
  request: LoadRequest,
  layout: LayoutFacts,
  crash: CrashSegments | null,
  usable: readonly Range[],
): readonly MemoryRange[] {
  if (crash === null) return layout.memoryMap;
  const { elfcorehdr, backup } = crash;
  const keep = [elfcorehdr, ...(backup === null ? [] : [backup.segment])].map(rangeOf);
  return request.type === 'crash'
    ? crashMap(layout.memoryMap, layout.crashRegions, keep, backup?.source ?? null)
    : preservingMap(layout.memoryMap, subtract(usable, keep));
}

const rangeOf = ({ mem, memsz }: Segment): Range => ({ start: mem, end: mem + memsz });
