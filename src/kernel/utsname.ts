import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { isMissing, type VirtualMemory } from './memory.ts';

/** struct new_utsname: six NUL-terminated strings of 65 bytes (include/uapi/linux/utsname.h). */
export const utsnameBytes = 6 * 65;
const fields = ['sysname', 'nodename', 'release', 'version', 'machine', 'domainname'] as const;
export type Utsname = Readonly<Record<(typeof fields)[number], string>>;

/** Until 5.10, which does not export the offset, the name follows a 32-bit number of references. */
const afterReferences = 4;

/** init_uts_ns.name of the crashed kernel, 390 bytes; undefined when it cannot be read. */
export function readUtsname(info: Vmcoreinfo, memory: VirtualMemory): Uint8Array | undefined {
  const symbol = info.symbol('init_uts_ns');
  const offset = info.offset('uts_namespace.name') ?? afterReferences;
  if (symbol === undefined) return undefined;
  const bytes = memory.read(symbol + BigInt(offset), utsnameBytes);
  return isMissing(bytes) ? undefined : Uint8Array.from(bytes);
}

export function decodeUtsname(bytes: Uint8Array): Utsname {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const entries = fields.map((field, i) => [field, text.slice(i * 65, (i + 1) * 65).replace(/\0.*$/s, '')]);
  return Object.fromEntries(entries) as Utsname;
}
