import { writeStruct } from '../../lib/layout.ts';
import type { SerialPort } from '../request.ts';
import { Assembler } from './assembler.ts';
import {
  digestBytes,
  emitTables,
  mostRegions,
  optionsLayout,
  regionLayout,
  registersLayout,
} from './data.ts';
import { emitFlowData, emitRefuse, emitStart, emitVerify } from './flow.ts';
import type { MachineCode } from './pieces.ts';
import { emitPrint, emitWriteHex } from './print.ts';
import { emitPrepareSerial, emitPutSerial } from './serial.ts';
import { emitSha256Blocks, emitSha256Constants } from './sha256-blocks.ts';
import { emitSha256Regions } from './sha256-regions.ts';
import { emitPrepareVga, emitPutVga, emitResetVga, emitTextMode } from './vga.ts';

/**
 * The purgatory: what runs between the kernel that ends and the one that begins, when kexec_load placed it. It checks
 * that every other segment is still what was loaded, and starts the kernel as the x86 boot protocol
 * (Documentation/arch/x86/boot.rst, 64-bit) wants it.
 *
 * One piece that runs at any address: code, constants, the tables of data.ts, its stack.
 */

/** Bytes of the whole segment: behind what buildPurgatory gives, the stack grows down from its end. */
export const purgatorySize = 3 * 4096;
const stackBytes = 2048;

/** The COM port that a refusal is written to when none is named. */
const com1 = 0x3f8;
/** Bits per second that a UART's divisor of 1 stands for. */
const fastestLine = 115200;

export type PurgatoryOptions = {
  /** Of the kernel's first instruction; what is not named is 0, but for rsp: then it is the purgatory's own stack. */
  readonly registers: { readonly rip: number; readonly rsi: number } & Partial<
    Readonly<Record<keyof typeof registersLayout.fields, number>>
  >;
  /** Physical addresses and bytes; the SHA-256 of all regions, one behind the other. Null: nothing is checked. */
  readonly check: {
    readonly regions: readonly { readonly start: number; readonly length: number }[];
    readonly digest: Uint8Array;
  } | null;
  /** Bytes that are copied before the kernel starts; physical addresses. */
  readonly backup: { readonly source: number; readonly destination: number; readonly size: number } | null;
  readonly console: {
    /** Set VGA to its text mode first. */
    readonly resetVga: boolean;
    readonly vga: boolean;
    /** Null: silent there, unless the kernel is refused. */
    readonly serial: SerialPort | null;
    /** Say that the purgatory runs. */
    readonly verbose: boolean;
  };
  /** Where the command line ends (physical address of its NUL, 42 bytes free): the way back is appended there. */
  readonly jumpBack: { readonly commandLineEnd: number } | null;
};

let assembled: (MachineCode & { readonly codeBytes: number }) | undefined;

/** The purgatory before it is told anything: machine code from offset 0 to `codeBytes`, then data. */
export function purgatoryCode(): MachineCode & { readonly codeBytes: number } {
  if (assembled === undefined) {
    const a = new Assembler();
    emitStart(a, purgatorySize);
    emitVerify(a);
    emitRefuse(a);
    emitPrint(a);
    emitWriteHex(a);
    emitPrepareSerial(a);
    emitPutSerial(a);
    emitPrepareVga(a);
    emitPutVga(a);
    emitResetVga(a);
    emitSha256Regions(a);
    emitSha256Blocks(a);
    a.label('end_of_code');
    emitSha256Constants(a);
    emitTextMode(a);
    emitFlowData(a);
    emitTables(a);
    const code = a.assemble();
    if (code.bytes.length + stackBytes > purgatorySize)
      throw new RangeError(`the purgatory has ${code.bytes.length} bytes: too many for ${purgatorySize}`);
    assembled = { ...code, codeBytes: code.labels.get('end_of_code')! };
  }
  return assembled;
}

/**
 * The purgatory for one load.
 * @returns its bytes, for any page-aligned address, and the offset of its first instruction
 * @throws RangeError for more than 16 regions, a digest that is not of 32 bytes, a speed that no divisor gives
 */
export function buildPurgatory(options: PurgatoryOptions): { bytes: Uint8Array; entry: number } {
  const { labels, bytes: blank } = purgatoryCode();
  const bytes = blank.slice();
  const offset = (label: string): number => labels.get(label)!;
  const { check, backup, console, jumpBack } = options;
  writeStruct(registersLayout, bytes, offset('registers'), options.registers);
  writeStruct(optionsLayout, bytes, offset('options'), {
    check: Number(check !== null),
    region_count: check?.regions.length ?? 0,
    backup_source: backup?.source ?? 0,
    backup_destination: backup?.destination ?? 0,
    backup_size: backup?.size ?? 0,
    command_line_end: jumpBack?.commandLineEnd ?? 0,
    verbose: Number(console.verbose),
    reset_vga: Number(console.resetVga),
    vga: Number(console.vga),
    serial: Number(console.serial !== null),
    serial_port: console.serial?.port ?? com1,
    serial_divisor: divisor(console.serial?.baud ?? null),
  });
  if (check !== null) {
    if (check.regions.length > mostRegions || check.digest.length !== digestBytes)
      throw new RangeError(`${check.regions.length} regions, a digest of ${check.digest.length} bytes`);
    for (const [i, region] of check.regions.entries())
      writeStruct(regionLayout, bytes, offset('regions') + i * regionLayout.size, region);
    bytes.set(check.digest, offset('expected'));
    bytes.set(Buffer.from(Buffer.from(check.digest).toString('hex'), 'latin1'), offset('expected_text'));
  }
  return { bytes, entry: offset('start') };
}

function divisor(baud: number | null): number {
  if (baud === null) return 0;
  const value = fastestLine / baud;
  if (!Number.isInteger(value) || value < 1 || value > 0xffff)
    throw new RangeError(`a UART cannot do ${baud} bits per second`);
  return value;
}
