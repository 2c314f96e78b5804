import type * as Iced from 'iced-x86';
import { KdumpError } from '../../lib/errors.ts';

/** An instruction as the GNU assembler writes it. */
export type Instruction = {
  readonly address: bigint;
  readonly bytes: number;
  /** 'call   0xffffffff81000000' without what the address is called. */
  readonly text: string;
  /** Where it jumps to or calls, when that is fixed. */
  readonly target: bigint | undefined;
  /** What an operand relative to the instruction pointer leads to. */
  readonly data: bigint | undefined;
};

let library: typeof Iced | undefined;

/** Loads the disassembler: a megabyte of WebAssembly that no other command needs. @throws KdumpError `no-disassembler` */
export async function loadDecoder(): Promise<void> {
  if (library !== undefined) return;
  try {
    // A CommonJS module, whose types do not say so.
    library = ((await import('iced-x86')) as unknown as { default: typeof Iced }).default;
  } catch (error) {
    throw new KdumpError(
      'no-disassembler',
      `the package iced-x86 cannot be loaded: ${(error as Error).message}`,
      {
        fix: 'Install it where the dump is read: npm install iced-x86. rd -8 shows the bytes without it.',
      },
    );
  }
}

/** All instructions that begin in these bytes. @param address that the first byte is executed at */
export function* decode(code: Uint8Array, address: bigint): Generator<Instruction> {
  const iced = library!;
  const decoder = new iced.Decoder(64, code, iced.DecoderOptions.None);
  const formatter = new iced.Formatter(iced.FormatterSyntax.Gas);
  formatter.uppercaseHex = false;
  formatter.smallHexNumbersInDecimal = false;
  formatter.firstOperandCharIndex = 7;
  formatter.ripRelativeAddresses = true;
  formatter.branchLeadingZeros = false;
  formatter.showBranchSize = false;
  decoder.ip = address;
  const instruction = new iced.Instruction();
  try {
    while (decoder.canDecode) {
      decoder.decodeOut(instruction);
      if (instruction.isInvalid) {
        // What is no instruction, or ends behind the bytes that are there.
        yield {
          address: instruction.ip,
          bytes: Math.max(1, instruction.length),
          text: '(bad)',
          target: undefined,
          data: undefined,
        };
        continue;
      }
      // A zero that takes up room in the instruction is shown.
      formatter.showZeroDisplacements = instruction.memoryDisplSize > 0;
      formatter.alwaysShowScale = instruction.memoryIndex !== iced.Register.None;
      yield {
        address: instruction.ip,
        bytes: instruction.length,
        text: formatter.format(instruction),
        target: branches(iced, instruction) ? instruction.nearBranchTarget : undefined,
        data: instruction.isIpRelMemoryOperand ? instruction.ipRelMemoryAddress : undefined,
      };
    }
  } finally {
    instruction.free();
    formatter.free();
    decoder.free();
  }
}

function branches(iced: typeof Iced, instruction: Iced.Instruction): boolean {
  if (instruction.opCount === 0) return false;
  const kind = instruction.opKind(0);
  return (
    kind === iced.OpKind.NearBranch64 ||
    kind === iced.OpKind.NearBranch32 ||
    kind === iced.OpKind.NearBranch16
  );
}
