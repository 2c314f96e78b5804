import { KdumpError } from '../lib/errors.ts';
import { layout, readStruct } from '../lib/layout.ts';

/**
 * PE files: what EFI runs, and what a kernel with an EFI stub and a unified kernel image are in. Little-endian.
 * Source: Microsoft's "PE Format".
 */
const dosHeader = layout('DOS header', 0x40, {
  magic: [0, 'u16'],
  /** Offset of the PE header. */
  lfanew: [0x3c, 'u32'],
});
const peHeader = layout('PE header', 24, {
  signature: [0, 'u32'],
  numberOfSections: [6, 'u16'],
  sizeOfOptionalHeader: [20, 'u16'],
});
const sectionHeader = layout('PE section header', 40, {
  virtualSize: [8, 'u32'],
  sizeOfRawData: [16, 'u32'],
  pointerToRawData: [20, 'u32'],
});
const dataDirectory = layout('PE data directory', 8, { address: [0, 'u32'], size: [4, 'u32'] });

const MZ = 0x5a4d;
const PE = 0x4550;
/** Magic of the optional header, and where the data directories begin in it: PE32 and PE32+. */
const directoriesAt: Readonly<Record<number, number>> = { 267: 96, 523: 112 };
/** The directory of the certificate table, which holds an Authenticode signature. */
const CERTIFICATES = 4;

/** Content of a section as the file has it. */
export type PeSection = {
  readonly name: string;
  /** File offset and bytes. */
  readonly offset: number;
  readonly size: number;
};

/** Bytes of a file: all of [offset, offset + length), or an error. */
type Read = (offset: number, length: number) => Uint8Array;

/** Whether a file that begins with these bytes says it is a PE file: DOS magic, and a PE header where it points to. */
export function isPe(head: Uint8Array): boolean {
  return peHeaderOf(head) !== null;
}

/**
 * Whether a PE file names a certificate table in its headers. Whether the signature is valid is for others to say.
 * @param head beginning of the file; a header that lies behind it is not looked at
 */
export function isPeSigned(head: Uint8Array): boolean {
  const at = peHeaderOf(head);
  if (at === null || at + peHeader.size + 2 > head.length) return false;
  const optional = at + peHeader.size;
  const magic = head[optional]! | (head[optional + 1]! << 8);
  const directories = directoriesAt[magic];
  if (directories === undefined) return false;
  const entry = optional + directories + CERTIFICATES * dataDirectory.size;
  if (entry + dataDirectory.size > head.length) return false;
  const { address, size } = readStruct(dataDirectory, head, entry);
  return address !== 0 && size !== 0;
}

/**
 * The sections of a PE file, in the order of its headers. A section has bytes up to its VirtualSize; the file pads them
 * to SizeOfRawData, or has fewer and memory ends in zeros, which are not part of the content here.
 * @param size of the file, bytes
 * @param name of the file, for errors
 * @throws KdumpError `bad-pe` that names the offset of the header that is wrong; and whatever `read` throws
 */
export function readPeSections(read: Read, size: number, name: string): PeSection[] {
  const bad = (why: string) => new KdumpError('bad-pe', `${name}: ${why}`, { facts: { size } });
  const within = (offset: number, length: number, what: string): Uint8Array => {
    if (offset + length > size)
      throw bad(`${what} at offset ${hex(offset)} needs ${length} bytes, the file ends at ${hex(size)}`);
    return read(offset, length);
  };
  const dos = readStruct(dosHeader, within(0, dosHeader.size, 'the DOS header'));
  if (dos.magic !== MZ) throw bad(`expected "MZ" at offset 0x0, found ${hex(dos.magic)}`);
  const pe = readStruct(peHeader, within(dos.lfanew, peHeader.size, 'the PE header, named at 0x3c,'));
  if (pe.signature !== PE)
    throw bad(`expected "PE" at offset ${hex(dos.lfanew)}, found ${hex(pe.signature)}`);

  const start = dos.lfanew + peHeader.size + pe.sizeOfOptionalHeader;
  const table = within(start, pe.numberOfSections * sectionHeader.size, 'the section table');
  return Array.from({ length: pe.numberOfSections }, (_, index) => {
    const at = index * sectionHeader.size;
    const { virtualSize, sizeOfRawData, pointerToRawData } = readStruct(sectionHeader, table, at);
    const section = {
      name: nameAt(table, at),
      offset: pointerToRawData,
      // Some tools leave VirtualSize at 0.
      size: virtualSize === 0 ? sizeOfRawData : Math.min(virtualSize, sizeOfRawData),
    };
    if (section.size > 0 && section.offset + section.size > size)
      throw bad(
        `section ${section.name}, whose header is at offset ${hex(start + at)}, would lie at ${hex(section.offset)} to ${hex(section.offset + section.size)}, the file ends at ${hex(size)}`,
      );
    return section;
  });
}

function peHeaderOf(head: Uint8Array): number | null {
  if (head.length < dosHeader.size) return null;
  const { magic, lfanew } = readStruct(dosHeader, head);
  if (magic !== MZ || lfanew + peHeader.size > head.length) return null;
  return readStruct(peHeader, head, lfanew).signature === PE ? lfanew : null;
}

/** Eight bytes, padded with NUL. */
function nameAt(table: Uint8Array, at: number): string {
  const bytes = table.subarray(at, at + 8);
  const end = bytes.indexOf(0);
  // A damaged name must not garble a terminal.
  return String.fromCharCode(...bytes.subarray(0, end < 0 ? 8 : end)).replace(/[^\x21-\x7e]/g, '?');
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
