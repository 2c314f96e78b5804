import { usageError } from '../arguments.ts';
import type { Session } from '../session.ts';

/** Lines in front of the marked one, and behind it where nothing tells where the function ends. */
const linesBefore = 5;
const mostLines = 4096;

/**
 * dis -s: the source that an address was compiled from.
 * @param word the address as it was asked for
 * @param count lines behind that of the address; without it, up to the end of its function
 * @throws KdumpError `usage`
 */
export function* sourceLines(
  { kernel, namelist }: Session,
  word: string,
  address: bigint,
  count: number | undefined,
): Generator<string> {
  const place = kernel.symbolAt(address);
  if (place === undefined || !/[tw]/i.test(place.symbol.type))
    throw usageError(`dis: ${word}: not an address of the kernel's code`);
  if (place.symbol.module !== undefined)
    throw usageError(`dis: ${place.symbol.module.name}: source lines of modules are not known`);
  if (namelist === undefined)
    throw usageError('dis: source lines are in a vmlinux with debug information, and none was given');
  const [, file, number] = /^(.*): (\d+)$/.exec(namelist.sourceLine(address) ?? '') ?? [];
  if (file === undefined) throw usageError(`dis: ${word}: ${namelist.path} does not tell its source line`);
  yield `FILE: ${file}`;
  yield `LINE: ${number}`;
  yield '';
  const text = namelist.sourceText?.(file)?.split('\n');
  const line = Number(number);
  if (text === undefined || line > text.length) {
    yield `dis: ${word}: source code is not available`;
    return;
  }
  const last = Math.min(text.length, count === undefined ? endOfFunction(text, line) : line + count);
  for (let at = Math.max(1, line - linesBefore); at <= last; at++)
    yield `${at === line ? '*' : ' '} ${String(at).padStart(String(last).length)} ${text[at - 1]!.replace(/\r$/, '')}`.trimEnd();
}

/** Line of the brace that ends a function: the first one in the first column. */
function endOfFunction(text: readonly string[], line: number): number {
  const found = text.findIndex((each, i) => i + 1 > line && each.startsWith('}'));
  return found < 0 ? text.length : Math.min(found + 1, line + mostLines);
}
