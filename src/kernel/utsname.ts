import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { isMissing, type VirtualMemory } from './memory.ts';

/** struct new_utsname: six NUL-terminated strings of 65 bytes (include/uapi/linux/utsname.h). */
export const utsnameBytes = 6 * 65;
const fields = ['sysname', 'nodename', 'release', 'version', 'machine', 'domainname'] as const;
export type Utsname = Readonly<Record<(typeof fields)[number], string>>;

/** Where the name may be when the kernel does not export it: after a 32-bit number of references until 5.10, then first. */
const unexportedOffsets = [4, 0] as const;
const sysname = Buffer.from('Linux\0', 'latin1');

/** init_uts_ns.name of the crashed kernel, 390 bytes; undefined when it cannot be read. */
export function readUtsname(info: Vmcoreinfo, memory: VirtualMemory): Uint8Array | undefined {
  const symbol = info.symbol('init_uts_ns');
  if (symbol === undefined) return undefined;
  const exported = info.offset('uts_namespace.name');
  const names = (exported === undefined ? unexportedOffsets : [exported]).flatMap((offset) => {
    const bytes = memory.read(symbol + BigInt(offset), utsnameBytes);
    return isMissing(bytes) ? [] : [bytes];
  });
  // Of several places the one that holds a name is it; no name at all is for the caller to judge.
  const name = names.find((bytes) => sysname.equals(bytes.subarray(0, sysname.length))) ?? names[0];
  return name && Uint8Array.from(name);
}

export function decodeUtsname(bytes: Uint8Array): Utsname {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const entries = fields.map((field, i) => [field, text.slice(i * 65, (i + 1) * 65).replace(/\0.*$/s, '')]);
  return Object.fromEntries(entries) as Utsname;
}
