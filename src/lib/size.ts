import { KdumpError } from './errors.ts';

const suffixes = 'KMGTPE';

/**
 * Reads a size as Linux's memparse() does: decimal, 0x… or 0… (octal), then perhaps one of K, M, G, T, P, E, large or
 * small, each 1024 times the one before.
 * @param option named in the error
 * @returns bytes; a size from 2^53 on is as good as no bound, and given as 2^53 - 1
 * @throws KdumpError `usage` for 0, for anything that is left over, and for what 64 bits do not hold
 */
export function parseSize(text: string, option: string): number {
  const found = /^\s*\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)([KMGTPE]?)$/i.exec(text);
  const refuse = (why: string): KdumpError =>
    new KdumpError('usage', `option '${option}': ${why}: '${text}'`, {
      fix: 'A size is a number, with K, M, G, T, P or E after it when it is not in bytes.',
    });
  if (found === null) throw refuse('not a size');
  const [, digits, suffix] = found;
  const octal = /^0[0-7]+$/.test(digits!);
  const number = BigInt(octal ? `0o${digits!.slice(1)}` : digits!.toLowerCase());
  const power = suffix === '' ? 0 : suffixes.indexOf(suffix!.toUpperCase()) + 1;
  const bytes = number << BigInt(10 * power);
  if (bytes === 0n) throw refuse('a size of nothing');
  if (bytes >= 1n << 64n) throw refuse('too large a size');
  return Math.min(Number(bytes), Number.MAX_SAFE_INTEGER);
}
