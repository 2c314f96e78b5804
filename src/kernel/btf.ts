import { btfMagic } from '../formats/btf.ts';
import { KdumpError } from '../lib/errors.ts';
import { type BtfTypes, typesOfBtf } from './btf-types.ts';
import type { VirtualRange } from './image.ts';
import { searchMemory } from './image-search.ts';
import { isMissing, type VirtualMemory } from './memory.ts';
import type { KernelSymbols } from './types.ts';

/** Largest blob that is read; a kernel has 5 MiB. */
const maxBtfBytes = 2 ** 26;
const maxCandidates = 64;
const headerBytes = 32;

/**
 * The type information that the kernel carries with it (CONFIG_DEBUG_INFO_BTF): between the symbols __start_BTF and
 * __stop_BTF, or wherever the image holds something that reads as such.
 * @param image undefined when it is not known where the image is; only symbols help then
 * @returns undefined when there is none, or it cannot be read
 */
export function findBtf(
  symbols: KernelSymbols | undefined,
  image: VirtualRange | undefined,
  memory: VirtualMemory,
): BtfTypes | undefined {
  const start = symbols?.address('__start_BTF');
  const stop = symbols?.address('__stop_BTF');
  if (start !== undefined && stop !== undefined)
    return start < stop ? typesAt(start, Number(stop - start), memory) : undefined;
  if (image === undefined) return undefined;
  // The image holds others: loaders of BPF programs that are built in bring the types of those. The kernel's is the largest.
  const found: { address: bigint; size: number }[] = [];
  for (const address of searchMemory(memory, image, blobStart)) {
    const header = memory.read(address, headerBytes);
    const size = isMissing(header) ? 0 : sizeByHeader(header);
    if (size > 0 && size <= maxBtfBytes) found.push({ address, size });
    if (found.length === maxCandidates) break;
  }
  for (const { address, size } of found.sort((a, b) => b.size - a.size)) {
    const types = typesAt(address, size, memory);
    if (types !== undefined) return types;
  }
  return undefined;
}

/** Magic, version 1, no flags. */
const blobStart = Uint8Array.of(btfMagic & 0xff, btfMagic >>> 8, 1, 0);

/** Bytes of the blob that a header describes as the tools write them; 0 when it is no header. */
function sizeByHeader(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number): number => view.getUint32(at, true);
  const [header, typeOffset, typeBytes, stringOffset, stringBytes] = [4, 8, 12, 16, 20].map(word);
  if ((header !== 24 && header !== headerBytes) || typeOffset !== 0 || stringOffset! < typeBytes!) return 0;
  return typeBytes === 0 || stringBytes === 0 ? 0 : header + stringOffset! + stringBytes!;
}

function typesAt(address: bigint, size: number, memory: VirtualMemory): BtfTypes | undefined {
  const bytes = size > maxBtfBytes ? undefined : memory.read(address, size);
  if (bytes === undefined || isMissing(bytes)) return undefined;
  try {
    return typesOfBtf(bytes, `memory at 0x${address.toString(16)}`);
  } catch (error) {
    if (error instanceof KdumpError) return undefined;
    throw error;
  }
}
