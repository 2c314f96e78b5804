import { isMissing, type Missing } from '../kernel/memory.ts';

/** An address as crash prints it in tables: 16 digits, nothing in front. */
export const hex = (value: bigint, digits = 16): string =>
  BigInt.asUintN(64, value).toString(16).padStart(digits, '0');

/** What is said in the place of what a dump lacks: '<excluded>', '<hole>', '<truncated>', '<unmapped>'. */
export const missingText = ({ missing }: Missing): string => `<${missing}>`;

/** What is said where a vmlinux is missed. */
export const needsVmlinux = 'source lines are in a vmlinux with debug information only: crash VMLINUX DUMP';

/** A value, or the reason why it is missing. */
export function shown<T>(value: T | Missing, show: (value: T) => string = String): string {
  return isMissing(value) ? missingText(value) : show(value);
}

/** Text in the middle of a column; of an odd rest the smaller half goes to the left. */
export function centred(text: string, width: number): string {
  const room = Math.max(0, width - text.length);
  return ' '.repeat(room >> 1) + text + ' '.repeat(room - (room >> 1));
}
