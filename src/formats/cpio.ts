import { KdumpError } from '../lib/errors.ts';

/**
 * The newc cpio archive, which the kernel unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c).
 *
 * A header is 110 ASCII bytes: the magic "070701" and thirteen fields of eight hexadecimal digits. Header with name, and
 * data, are each padded with NUL to a multiple of four bytes. The archive ends with an entry named TRAILER!!!.
 *
 * Nothing of the building machine gets in: times are 0, owners are root, inodes are counted from 1; equal input gives
 * equal bytes.
 */
export type CpioEntry =
  | { readonly type: 'file'; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly type: 'directory'; readonly path: string; readonly mode: number }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly type: 'character-device' | 'block-device';
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const magic = '070701';
const headerSize = 110;
const trailerName = 'TRAILER!!!';
/** Fields after the magic, in the order of the header. */
const fieldNames = [
  'ino',
  'mode',
  'uid',
  'gid',
  'nlink',
  'mtime',
  'filesize',
  'devmajor',
  'devminor',
  'rdevmajor',
  'rdevminor',
  'namesize',
  'check',
] as const;
type Header = Record<(typeof fieldNames)[number], number>;

/** File type bits of st_mode. */
const typeBits = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  'character-device': 0o020000,
  'block-device': 0o060000,
} as const satisfies Record<CpioEntry['type'], number>;

const utf8 = new TextEncoder();
const text = new TextDecoder();

/**
 * Writes an archive as pieces that follow one another in the file: the data of entries is not copied.
 * Paths are stored without a leading slash. A directory must stand before what lies in it: the kernel creates entries
 * in the order of the archive and makes no parents.
 * @throws KdumpError `cpio` for an empty, repeated or too long path, a missing parent, or a value beyond 32 bits.
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const seen = new Map<string, CpioEntry['type']>();
  entries.forEach((entry, index) => {
    const name = relativeName(entry.path);
    checkPlace(name, entry.type, seen);
    seen.set(name, entry.type);
    const data =
      entry.type === 'file'
        ? entry.data
        : entry.type === 'symlink'
          ? utf8.encode(entry.target)
          : new Uint8Array(0);
    const isDevice = entry.type === 'character-device' || entry.type === 'block-device';
    pieces.push(
      header(name, {
        ino: index + 1,
        mode: typeBits[entry.type] | (entry.type === 'symlink' ? 0o777 : entry.mode & 0o7777),
        nlink: entry.type === 'directory' ? 2 : 1,
        filesize: data.length,
        rdevmajor: isDevice ? entry.major : 0,
        rdevminor: isDevice ? entry.minor : 0,
      }),
      data,
    );
    const gap = padding(data.length);
    if (gap > 0) pieces.push(new Uint8Array(gap));
  });
  pieces.push(header(trailerName, { nlink: 1 }));
  return pieces;
}

/** The directories that must stand before `paths`, each once, outermost first, without the root itself. */
export function parentDirectories(paths: Iterable<string>): string[] {
  const parents = new Set<string>();
  for (const path of paths) {
    const parts = relativeName(path).split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) parents.add(parts.slice(0, depth).join('/'));
  }
  return [...parents].sort();
}

/**
 * Reads one archive, up to its trailer.
 * @returns the entries, and the offset of the first byte after the trailer: archives may follow one another in an image.
 * @throws KdumpError `cpio` for a wrong magic, a field that is not hexadecimal, or data beyond the end.
 */
export function readCpio(bytes: Uint8Array, start = 0): { entries: CpioEntry[]; end: number } {
  const entries: CpioEntry[] = [];
  let at = start;
  for (;;) {
    const fields = readHeader(bytes, at);
    const nameEnd = at + headerSize + fields.namesize;
    const dataStart = align(nameEnd - start) + start;
    const dataEnd = dataStart + fields.filesize;
    if (dataEnd > bytes.length)
      throw cpioError(
        `cpio entry at offset ${at}: its data ends at ${dataEnd}, the archive at ${bytes.length}`,
      );
    const path = text.decode(bytes.subarray(at + headerSize, nameEnd - 1));
    at = align(dataEnd - start) + start;
    if (path === trailerName) return { entries, end: Math.min(at, bytes.length) };
    entries.push(toEntry(path, fields, bytes.subarray(dataStart, dataEnd)));
  }
}

function toEntry(path: string, fields: Header, data: Uint8Array): CpioEntry {
  const mode = fields.mode & 0o7777;
  switch (fields.mode & 0o170000) {
    case typeBits.file:
      return { type: 'file', path, mode, data };
    case typeBits.directory:
      return { type: 'directory', path, mode };
    case typeBits.symlink:
      return { type: 'symlink', path, target: text.decode(data) };
    case typeBits['character-device']:
      return { type: 'character-device', path, mode, major: fields.rdevmajor, minor: fields.rdevminor };
    case typeBits['block-device']:
      return { type: 'block-device', path, mode, major: fields.rdevmajor, minor: fields.rdevminor };
    default:
      throw cpioError(`cpio entry ${path}: mode 0${fields.mode.toString(8)} has no known file type`);
  }
}

function readHeader(bytes: Uint8Array, at: number): Header {
  if (at + headerSize > bytes.length)
    throw cpioError(
      `cpio header at offset ${at}: needs ${headerSize} bytes, the archive ends at ${bytes.length}`,
    );
  const found = text.decode(bytes.subarray(at, at + headerSize));
  if (!found.startsWith(magic))
    throw cpioError(`cpio header at offset ${at}: found "${found.slice(0, 6)}", expected "${magic}"`);
  const fields = {} as Header;
  fieldNames.forEach((name, index) => {
    const digits = found.slice(6 + index * 8, 14 + index * 8);
    if (!/^[0-9a-fA-F]{8}$/.test(digits))
      throw cpioError(`cpio header at offset ${at}: ${name} is "${digits}", not a hexadecimal number`);
    fields[name] = Number.parseInt(digits, 16);
  });
  if (fields.namesize === 0 || at + headerSize + fields.namesize > bytes.length)
    throw cpioError(`cpio header at offset ${at}: a name of ${fields.namesize} bytes does not fit`);
  return fields;
}

function header(name: string, values: Partial<Header>): Uint8Array {
  const nameBytes = utf8.encode(name);
  const fields: Partial<Header> = { ...values, namesize: nameBytes.length + 1 };
  const ascii = magic + fieldNames.map((field) => hex(name, field, fields[field] ?? 0)).join('');
  const out = new Uint8Array(align(headerSize + nameBytes.length + 1));
  utf8.encodeInto(ascii, out);
  out.set(nameBytes, headerSize);
  return out;
}

function hex(name: string, field: string, value: number): string {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw cpioError(`${name}: ${field} = ${value} does not fit the 32 bits of a newc header`);
  return value.toString(16).padStart(8, '0');
}

function checkPlace(name: string, type: string, seen: ReadonlyMap<string, CpioEntry['type']>): void {
  const before = seen.get(name);
  if (before !== undefined) throw cpioError(`${name} stands twice in the archive (${before} and ${type})`);
  const slash = name.lastIndexOf('/');
  if (slash >= 0 && seen.get(name.slice(0, slash)) !== 'directory')
    throw cpioError(`${name}: no directory ${name.slice(0, slash)} stands before it in the archive`);
}

function relativeName(path: string): string {
  const name = path.replace(/^\/+/, '').replace(/\/+$/, '');
  if (name === '' || name === trailerName || name.includes('\0'))
    throw cpioError(`"${path}" cannot be a name in a cpio archive`);
  // The kernel's limit is PATH_MAX, terminator included; it skips longer names without a word.
  if (utf8.encode(name).length + 1 > 4096) throw cpioError(`a name of ${name.length} characters is too long`);
  return name;
}

const align = (offset: number): number => Math.ceil(offset / 4) * 4;
const padding = (length: number): number => align(length) - length;

function cpioError(message: string): KdumpError {
  return new KdumpError('cpio', message);
}
