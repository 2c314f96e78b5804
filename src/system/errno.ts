import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

const names = new Map<number, string>(
  Object.entries(constants.errno).map(([name, number]) => [number, name]),
);
/** errno values that node's table does not have: the ones of signature checks (asm-generic/errno.h). */
const extra: ReadonlyMap<number, readonly [name: string, text: string]> = new Map([
  [65, ['ENOPKG', 'package not installed']],
  [80, ['ELIBBAD', 'accessing a corrupted shared library']],
  [126, ['ENOKEY', 'required key not available']],
  [127, ['EKEYEXPIRED', 'key has expired']],
  [128, ['EKEYREVOKED', 'key has been revoked']],
  [129, ['EKEYREJECTED', 'key was rejected by service']],
]);

/** Name of a positive errno, e.g. 1 → "EPERM"; "errno 524" when it has none. */
export function errnoName(errno: number): string {
  return extra.get(errno)?.[0] ?? names.get(errno) ?? `errno ${errno}`;
}

/** The plain sentence for an errno, e.g. 1 → "operation not permitted". */
export function errnoText(errno: number): string {
  return extra.get(errno)?.[1] ?? getSystemErrorMap().get(-errno)?.[1] ?? `unknown error ${errno}`;
}
