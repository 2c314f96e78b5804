import type { KernelCore } from './core.ts';
import type { Missing } from './memory.ts';
import type { OrcLookup } from './orc-tables.ts';
import type { Registers } from './registers.ts';
import type { StackRange } from './stacks.ts';
import type { SymbolTable } from './symbol-table.ts';

/** Where execution is, and what is known of the registers there. */
export type UnwindState = {
  readonly ip: bigint;
  readonly sp: bigint;
  /** Undefined when nothing tells it. */
  readonly bp: bigint | undefined;
  /** Whether `ip` is the next instruction itself, not what a call returns to. */
  readonly signal: boolean;
  /** Address of the word that holds `ip`; undefined when a register does. */
  readonly slot: bigint | undefined;
  /** All that an interrupt or exception saved, right behind it. */
  readonly registers: Registers | undefined;
  /** Full registers of before, while only pushed ones are known. */
  readonly previous: Registers | undefined;
  /** False when a guess led here. */
  readonly certain: boolean;
};

/** Why there are no more frames. */
export type UnwindStop =
  /** The first function of its kind. */
  | { readonly reason: 'end' }
  /** What was entered from user mode. */
  | { readonly reason: 'user' }
  /** Nothing describes how this function is left. */
  | { readonly reason: 'unknown-code'; readonly ip: bigint }
  /** A register that is needed here was lost. */
  | { readonly reason: 'lost-register'; readonly register: string; readonly ip: bigint }
  /** What should be an address of code is none. */
  | { readonly reason: 'no-code'; readonly ip: bigint }
  /** The stack is not in the dump. */
  | { readonly reason: 'missing'; readonly missing: Missing }
  /** The stack leads back to where it was, or goes on for ever. */
  | { readonly reason: 'loop' }
  /** The kernel has neither tables nor frame pointers (CONFIG_UNWINDER_GUESS), or tables of a kind that nobody knows. */
  | { readonly reason: 'no-unwinder' }
  /** The CPU saved no registers: it did not answer when it was stopped. */
  | { readonly reason: 'no-registers' };

export type Unwinder = {
  readonly core: KernelCore;
  readonly symbols: SymbolTable;
  /** Undefined when the kernel has none. */
  readonly orc: OrcLookup | undefined;
  /** Whether functions keep frame pointers, which serve where there are no tables. */
  readonly framePointers: boolean;
  /** The stack that an address lies on. */
  stackOf(address: bigint): StackRange | undefined;
};
