import { codecFlag, headerVersion, statusIncomplete, statusUnusedVmemmap } from '../../formats/diskdump.ts';
import type { KdumpHeader } from '../../formats/diskdump-header.ts';
import { readNotes } from '../../formats/elf.ts';
import type { Progress } from '../../lib/progress.ts';
import type { ByteSource } from '../input/bytes.ts';
import { PageChecker } from '../input/check-page.ts';
import type { KdumpPart } from '../input/kdump-part.ts';
import { KdumpSource } from '../input/kdump-source.ts';
import { codecOf } from '../input/page-decoder.ts';
import { orderParts } from '../input/split-set.ts';
import { pieceBytes } from '../input/stored-bitmap.ts';
import { DataRuns } from './data-runs.ts';
import type { Findings } from './findings.ts';
import { verifyNotes } from './notes.ts';
import type { VerifiedPages } from './result.ts';

/** Checks a kdump-compressed dump: headers, notes, bitmaps, descriptors, and the content of every page. */
export function verifyKdump(
  files: readonly ByteSource[],
  findings: Findings,
  progress: Progress,
): VerifiedPages {
  const source = new KdumpSource(files, true);
  const { parts } = source;
  findings.try(() => orderParts(parts));
  for (const part of parts) {
    verifyHeader(part, findings);
    verifyPadding(part, findings);
  }
  verifyKdumpNotes(parts[0]!, source.notes, findings);
  const present = verifyBitmaps(parts, findings);
  return { present, ...verifyPages(source, findings, progress) };
}

const knownStatus =
  Object.values(codecFlag).reduce<number>((bits, flag) => bits | flag, 0) |
  statusIncomplete |
  statusUnusedVmemmap;

function verifyHeader({ file, header }: KdumpPart, findings: Findings): void {
  const { path, size } = file;
  const odd = (what: string): void => findings.add('header', `${path}: ${what}`);
  if (header.version > headerVersion)
    odd(`header_version is ${header.version}, known are 0 to ${headerVersion}`);
  if (header.maxMapnr32 !== Math.min(header.maxMapnr, 0xffff_ffff))
    odd(`max_mapnr is ${header.maxMapnr32} in the header and ${header.maxMapnr} in the sub header`);
  if ((header.status & ~knownStatus) !== 0)
    odd(`status is 0x${header.status.toString(16)}, with unknown bits`);
  if (header.bitmapCount === 2 && header.bitmapBlocks % 2 !== 0)
    odd(`bitmap_blocks is ${header.bitmapBlocks}, two bitmaps are an even number`);
  if ((header.status & statusIncomplete) !== 0)
    findings.add('incomplete', `${path}: the header says that the dump is not complete`);
  for (const [name, { offset, size: length }] of ranges(header)) {
    if (length === 0) continue;
    if (offset + length > size)
      odd(`${name} reaches to offset ${offset + length}, but the file ends at ${size}`);
    else if (name !== 'eraseinfo' && offset + length > header.bitmap1Offset)
      odd(`${name} reaches to offset ${offset + length}, into the bitmaps at ${header.bitmap1Offset}`);
  }
}

const ranges = ({ note, vmcoreinfo, eraseinfo }: KdumpHeader) =>
  [
    ['note', note],
    ['vmcoreinfo', vmcoreinfo],
    ['eraseinfo', eraseinfo],
  ] as const;

function verifyKdumpNotes({ file, header }: KdumpPart, notes: Uint8Array, findings: Findings): void {
  const { note, vmcoreinfo } = header;
  if (note.size === 0) return;
  if (notes.length < note.size) {
    findings.add(
      'notes',
      `${file.path}: ${note.size} bytes of notes are promised, ${notes.length} are there`,
    );
    return;
  }
  verifyNotes(file.path, notes, note.offset, findings);
  const info = readNotes(notes).find(({ name }) => name === 'VMCOREINFO');
  const place = info && { offset: note.offset + info.offset, size: info.description.length };
  if (
    place?.offset !== (vmcoreinfo.size > 0 ? vmcoreinfo.offset : undefined) ||
    (place && place.size !== vmcoreinfo.size)
  ) {
    const said = vmcoreinfo.size > 0 ? `${vmcoreinfo.size} bytes at ${vmcoreinfo.offset}` : 'nowhere';
    const found = place ? `${place.size} bytes at ${place.offset}` : 'nowhere';
    findings.add('notes', `${file.path}: VMCOREINFO is ${said} by the header and ${found} in the notes`, {
      offset: vmcoreinfo.offset,
    });
  }
}

/** Bits beyond the last page frame: crash(8) counts whole pieces of a bitmap. */
function verifyPadding({ file, header }: KdumpPart, findings: Findings): void {
  const { maxMapnr, bitmapBytes, bitmapCount } = header;
  const buffer = new Uint8Array(pieceBytes);
  for (let number = 1; number <= bitmapCount; number++) {
    const start = number === 1 ? header.bitmap1Offset : header.bitmap2Offset;
    for (let at = Math.floor(maxMapnr / 8); at < bitmapBytes; at += buffer.length) {
      const bytes = buffer.subarray(0, Math.min(buffer.length, bitmapBytes - at));
      bytes.fill(0, file.readInto(start + at, bytes));
      if (at === Math.floor(maxMapnr / 8) && bytes.length > 0) bytes[0]! &= ~((1 << (maxMapnr & 7)) - 1);
      const odd = bytes.findIndex((byte) => byte !== 0);
      if (odd < 0) continue;
      findings.add('bitmap', `${file.path}: bitmap ${number} has bits beyond the last page frame`, {
        pfn: (at + odd) * 8,
        offset: start + at + odd,
      });
      break;
    }
  }
}

/** Compares both bitmaps, and those of all parts. @returns number of page frames in bitmap 1 */
function verifyBitmaps(parts: readonly KdumpPart[], findings: Findings): number {
  const [first, ...others] = parts;
  const { present, stored } = first!;
  const buffer = new Uint8Array(pieceBytes);
  const other = new Uint8Array(pieceBytes);
  let count = 0;
  for (const piece of present.pieces()) {
    count += piece.count();
    const kept = stored.read(piece.first, piece.length, buffer);
    for (let i = 0; i < kept.length; i++) {
      if ((kept[i]! & ~piece.bytes[i]!) === 0) continue;
      findings.add('bitmap', `${first!.file.path}: bitmap 2 has pages that bitmap 1 has not`, {
        pfn: piece.first + i * 8,
        offset: first!.header.bitmap2Offset + piece.first / 8 + i,
      });
    }
    for (const part of others) {
      for (const [number, mine, theirs] of [
        [1, piece.bytes, part.present],
        [2, kept, part.stored],
      ] as const) {
        const bytes = theirs.read(piece.first, piece.length, other);
        const odd = bytes.findIndex((byte, i) => byte !== mine[i]);
        if (odd < 0) continue;
        findings.add(
          'bitmap',
          `bitmap ${number} of ${part.file.path} differs from that of ${first!.file.path}`,
          {
            pfn: piece.first + odd * 8,
          },
        );
      }
    }
  }
  return count;
}

function verifyPages(
  source: KdumpSource,
  findings: Findings,
  progress: Progress,
): Omit<VerifiedPages, 'present'> {
  const { parts, blockSize, made } = source;
  const { stored } = parts[0]!;
  const checker = new PageChecker(source.storedPages(), blockSize);
  const { pages } = checker;
  const runs = new Map(parts.map((part) => [part, new DataRuns()]));
  const shareZero = (made.dumpLevel & 1) !== 0;
  /** Whether the page that the zero pages of a part share is zero. */
  const zeroPages = new Map<KdumpPart, boolean>();
  const codecs: Record<string, number> = {};
  const total = stored.count;
  let done = 0;
  let whole = 0;
  for (const piece of stored.pieces()) {
    for (let pfn = piece.nextSet(piece.first); pfn < piece.end; pfn = piece.nextSet(pfn + 1)) {
      const fault = checker.check(pfn);
      if (++done % 1024 === 0) progress('Checking pages', done, total);
      if (fault !== undefined) {
        findings.add(fault.kind, fault.what, { pfn, ...(pages.offset > 0 ? { offset: pages.offset } : {}) });
        continue;
      }
      whole++;
      const { part, offset, size, flags } = pages;
      const shared = shareZero && flags === codecFlag.none && offset === part.dataOffset;
      const codec = shared ? 'zero' : codecOf(flags)!;
      codecs[codec] = (codecs[codec] ?? 0) + 1;
      if (shared) {
        if (!zeroPages.has(part)) zeroPages.set(part, zeroAt(pages.memory.bytes, pages.at, size));
        if (!zeroPages.get(part))
          findings.add('zero-page', 'the page of zeros that it shares is not zero', { pfn, offset });
      } else {
        runs.get(part)!.add(pfn, offset, size);
      }
    }
  }
  progress('Checking pages', total, total);
  for (const [part, data] of runs) {
    for (const { offset, pfn, other } of data.overlaps()) {
      findings.add(
        'overlap',
        `${part.file.path}: its data lies within that of page frame ${other} or one after it`,
        {
          pfn,
          offset,
        },
      );
    }
    const { eraseinfo } = part.header;
    if (eraseinfo.size > 0 && eraseinfo.offset < data.end)
      findings.add('overlap', `${part.file.path}: the eraseinfo lies within page data`, {
        offset: eraseinfo.offset,
      });
  }
  return { stored: total, whole, codecs };
}

const zeroAt = (bytes: Buffer, at: number, size: number): boolean => {
  for (let i = at; i < at + size; i++) if (bytes[i] !== 0) return false;
  return true;
};
