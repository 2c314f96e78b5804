import type { Frame } from '../../kernel/backtrace.ts';
import type { SymbolPlace } from '../../kernel/symbol-table.ts';

/** A place in code as the kernel's own traces name it: 'lab_null+0xc/0x20 [kdump_lab]'. */
export const placeText = ({ symbol, offset, size }: SymbolPlace): string =>
  `${symbol.name}+0x${offset.toString(16)}/0x${size.toString(16)}${symbol.module ? ` [${symbol.module.name}]` : ''}`;

/** The same of a frame; what is no code that is known by its address. */
export function frameText({ place, ip, user, certain }: Frame): string {
  const text = user ? `user mode, ${hexText(ip)}` : place === undefined ? hexText(ip) : placeText(place);
  return certain ? text : `? ${text}`;
}

export const hexText = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`;

/** The name of a function without what the compiler added to it: equal code is called equally in every build. */
export const plainName = (name: string): string =>
  name.replace(/(\.(isra|part|constprop|cold|llvm)(\.\d+)*)+$/, '');
