import { closeSync, openSync, readSync } from 'node:fs';
import { noPhysicalAddress, PT_LOAD, PT_NOTE, readElfCore, readNotes } from '../../src/formats/elf.ts';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import type { LinearSegment } from '../../src/kernel/arch.ts';
import { missing, type PhysicalMemory } from '../../src/kernel/memory.ts';

/** An ELF vmcore as nothing but memory: for tests of what reads memory, without the collector. */
export type CoreMemory = PhysicalMemory & {
  readonly info: Vmcoreinfo;
  readonly segments: readonly LinearSegment[];
  /** Number of reads and bytes read so far. */
  readonly cost: { reads: number; bytes: number };
  close(): void;
};

export function openCoreMemory(path: string): CoreMemory {
  const fd = openSync(path, 'r');
  const read = (offset: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
  };
  const { programHeaders } = readElfCore(read, path);
  const loads = programHeaders.filter((ph) => ph.type === PT_LOAD && ph.paddr !== noPhysicalAddress);
  const pieces = loads.map((ph) => {
    const start = Number(ph.paddr);
    return { start, end: start + ph.filesz, offset: ph.offset };
  });
  const notes = programHeaders.find((ph) => ph.type === PT_NOTE)!;
  const note = readNotes(read(notes.offset, notes.filesz)).find((n) => n.name === 'VMCOREINFO')!;
  const cost = { reads: 0, bytes: 0 };
  return {
    info: new Vmcoreinfo(Buffer.from(note.description).toString('latin1').replace(/\0.*$/s, '')),
    segments: loads.map((ph) => ({ vaddr: ph.vaddr, paddr: Number(ph.paddr) })),
    cost,
    readInto(paddr, target) {
      for (let done = 0; done < target.length; ) {
        const at = paddr + done;
        const piece = pieces.find(({ start, end }) => at >= start && at < end);
        if (piece === undefined) return missing('hole', at);
        const length = Math.min(target.length - done, piece.end - at);
        const got = readSync(fd, target, done, length, piece.offset + at - piece.start);
        cost.reads++;
        cost.bytes += got;
        if (got === 0) return missing('truncated', at);
        done += got;
      }
      return undefined;
    },
    close: () => closeSync(fd),
  };
}
