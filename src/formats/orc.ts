/**
 * ORC, the tables by which x86 kernels unwind their own stacks (arch/x86/include/asm/orc_types.h,
 * Documentation/arch/x86/orc-unwinder.rst): for every range of instructions where the caller's stack pointer and frame
 * pointer are found. An entry is two signed 16-bit offsets and 16 bits of flags, whose meaning changed over time.
 */

/** Bytes of an entry, and of the address that goes with it in a table of its own. */
export const orcEntryBytes = 6;
export const orcIpBytes = 4;

export type OrcRegister =
  | 'undefined'
  | 'previous-sp'
  | 'ax'
  | 'dx'
  | 'di'
  | 'bp'
  | 'sp'
  | 'r10'
  | 'r13'
  | 'bp-indirect'
  | 'sp-indirect';

export type OrcEntry = {
  /** What the caller's stack pointer is computed from. */
  readonly sp: OrcRegister;
  readonly spOffset: number;
  /** Where the caller's frame pointer is; undefined: still in the register. */
  readonly bp: OrcRegister;
  readonly bpOffset: number;
  /**
   * What lies at the caller's stack pointer: below it a return address (call), at it all registers or only those that
   * the processor pushes (partial); nothing more (end); not known (undefined).
   */
  readonly type: 'undefined' | 'end' | 'call' | 'registers' | 'partial';
  /** Whether the next address is that of an instruction, not one that a call returns to. */
  readonly signal: boolean;
};

/** 1: 4.14 to 6.2; 2: 6.3; 3: 6.4 to 7.0 and some older ones of distributions; 4: since 7.1. */
export type OrcVersion = 1 | 2 | 3 | 4;

const oldRegisters = [
  'undefined',
  'previous-sp',
  'dx',
  'di',
  'bp',
  'sp',
  'r10',
  'r13',
  'bp-indirect',
  'sp-indirect',
] as const;
const newRegisters = [
  'undefined',
  'ax',
  'dx',
  'sp',
  'bp',
  'di',
  'r10',
  'r13',
  'previous-sp',
  'sp-indirect',
  'bp-indirect',
] as const;
const oldTypes = ['call', 'registers', 'partial'] as const;
const newTypes = ['undefined', 'end', 'call', 'registers', 'partial'] as const;

/** The SHA-1 of orc_types.h that lies at __start_orc_header since 6.3. */
const headers: Readonly<Record<string, OrcVersion>> = {
  db84aed4103b31dd51e017f8f79783ca985c2c51: 2,
  fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24: 3,
  '137c36ad7627c4dd55932176bb0ecdbd5041fc82': 4,
};

/** @param header the 20 bytes at __start_orc_header */
export const orcVersionOfHeader = (header: Uint8Array): OrcVersion | undefined =>
  headers[Buffer.from(header).toString('hex')];

/**
 * The version by what is known of the layout when there is no header, or one that is not known.
 * @param members those of struct orc_entry
 * @param framePointer the entry at orc_fp_entry: its sp comes from bp, its bp from the previous sp
 */
export function orcVersionOfLayout(
  members: { readonly signal: boolean; readonly end: boolean },
  framePointer: Uint8Array | undefined,
): OrcVersion | undefined {
  if (!members.signal) return 1;
  if (members.end) return 2;
  const bp = framePointer === undefined ? undefined : framePointer[4]! >>> 4;
  return bp === oldRegisters.indexOf('previous-sp')
    ? 3
    : bp === newRegisters.indexOf('previous-sp')
      ? 4
      : undefined;
}

/** Reads an entry; a register or a type that does not exist is undefined. */
export function decodeOrc(bytes: Uint8Array, version: OrcVersion): OrcEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, orcEntryBytes);
  const flags = view.getUint16(4, true);
  const registers = version === 4 ? newRegisters : oldRegisters;
  const sp = registers[flags & 15] ?? 'undefined';
  const base = {
    sp,
    spOffset: view.getInt16(0, true),
    bp: registers[(flags >>> 4) & 15] ?? 'undefined',
    bpOffset: view.getInt16(2, true),
  } as const;
  if (version >= 3)
    return { ...base, type: newTypes[(flags >>> 8) & 7] ?? 'undefined', signal: bit(flags, 11) };
  const coded = oldTypes[(flags >>> 8) & 3] ?? 'undefined';
  // An undefined stack pointer ends the stack or, without the flag, the knowledge.
  const end = bit(flags, version === 1 ? 10 : 11);
  return {
    ...base,
    type: sp !== 'undefined' ? coded : end ? 'end' : 'undefined',
    signal: version === 1 ? coded !== 'call' : bit(flags, 10),
  };
}

const bit = (value: number, number: number): boolean => ((value >>> number) & 1) !== 0;
