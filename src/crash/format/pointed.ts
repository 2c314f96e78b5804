import type { CPlace, CType } from '../../kernel/ctype.ts';
import { isMissing } from '../../kernel/memory.ts';
import { KernelObject } from '../../kernel/object.ts';
import { missingText } from '../text.ts';
import { declare, nameOf } from './declaration.ts';
import { printTextAt, printValue, type ValueStyle } from './value.ts';

/**
 * Members of a structure, or all of it: those that are pointers with their types, and behind an arrow what they lead to,
 * as struct -p of crash(8) shows them.
 */
export function* pointedLines(
  style: ValueStyle,
  type: CType,
  members: readonly string[],
  address: bigint,
): Generator<string> {
  const { bare } = type;
  if (members.length > 0) {
    for (const path of members) yield* memberLines(style, path, bare.place(path)!, address, ',');
    return;
  }
  yield `${nameOf(type)} {`;
  for (const [i, { name, type: member, bitOffset, bits }] of bare.members.entries()) {
    const offset = Math.floor(bitOffset / 8);
    const bitField = bits === undefined ? undefined : { shift: bitOffset - offset * 8, bits };
    const comma = i === bare.members.length - 1 ? '' : ',';
    yield* memberLines(style, name, { offset, type: member, bitField }, address, comma);
  }
  yield '}';
}

function* memberLines(
  style: ValueStyle,
  path: string,
  { offset, type, bitField }: CPlace,
  base: bigint,
  comma: string,
): Generator<string> {
  const at = base + BigInt(offset);
  const { kind, target } = type.bare;
  if (kind !== 'pointer' || target === undefined) {
    const name = path === '' ? '' : `${path} = `;
    yield* `  ${name}${printValue(style, type, at, bitField, 1)}${comma}`.split('\n');
    return;
  }
  const value = new KernelObject(style.memory, type, at).integer();
  const text = isMissing(value) ? missingText(value) : `0x${value.toString(16)}`;
  yield `  ${declare(type, path.split('.').at(-1)!)} = ${text}`;
  if (isMissing(value)) return;
  const [first, ...rest] = targetText(style, target, value).split('\n');
  yield `  -> ${first}`;
  for (const line of rest) yield `     ${line}`;
}

function targetText(style: ValueStyle, target: CType, address: bigint): string {
  if (address === 0n) return 'NULL';
  const name = style.named(address).trim();
  // Only what begins there is what the pointer means.
  const symbol = /\+(0x)?[0-9a-f]+>$/.test(name) ? '' : name;
  const { kind, size } = target.bare;
  if (kind === 'void' || kind === 'function' || size === 0) return symbol || '(unknown)';
  const missing = style.memory.read(address, 1);
  if (isMissing(missing)) return missing.missing === 'unmapped' ? '(not accessible)' : missingText(missing);
  const text = printTextAt(style, target, address);
  if (text !== undefined) return text;
  return `${symbol === '' ? '' : `${symbol} `}${printValue(style, target, address)}`;
}
