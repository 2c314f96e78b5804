/** What the header of a LUKS volume says. Source: the LUKS2 On-Disk Format Specification, and that of LUKS1. */
export type LuksHeader = {
  readonly version: number;
  /** As blkid(8) prints it. */
  readonly uuid: string;
  /** Most memory that making a key out of a passphrase takes, in bytes; 0 where it takes none to speak of. */
  readonly keyMemory: number;
};

const magic = Buffer.from('LUKS\xba\xbe', 'latin1');
/** Big-endian: version behind the magic, and in LUKS2 the size of header and JSON area; both have the UUID here. */
const versionOffset = 6;
const sizeOffset = 8;
const uuidOffset = 168;
const uuidLength = 40;
const jsonOffset = 4096;

/** Bytes from the start of a device that readLuksHeader needs to see: a JSON area is as large as 4 MiB at most. */
export const luksHeaderBytes = 4 << 20;

/** @param start the first bytes of a device @returns undefined when they are no LUKS header */
export function readLuksHeader(start: Uint8Array): LuksHeader | undefined {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  if (bytes.length < jsonOffset || !bytes.subarray(0, magic.length).equals(magic)) return undefined;
  const version = bytes.readUInt16BE(versionOffset);
  const uuid = textIn(bytes.subarray(uuidOffset, uuidOffset + uuidLength));
  if (version < 2) return { version, uuid, keyMemory: 0 };
  const end = Number(bytes.readBigUInt64BE(sizeOffset));
  return { version, uuid, keyMemory: keyMemoryIn(textIn(bytes.subarray(jsonOffset, end))) };
}

/** Text up to the zeros that fill its room. */
const textIn = (bytes: Buffer): string => bytes.toString('utf8').replace(/\0.*$/s, '');

/** Of the key slots the one that takes most; Argon2 gives its memory in KiB. */
function keyMemoryIn(json: string): number {
  let slots: unknown[];
  try {
    slots = Object.values((JSON.parse(json) as { keyslots?: object }).keyslots ?? {});
  } catch {
    return 0;
  }
  const memories = slots.map((slot) => Number((slot as { kdf?: { memory?: unknown } }).kdf?.memory));
  return Math.max(0, ...memories.filter(Number.isFinite)) * 1024;
}
