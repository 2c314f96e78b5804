import type { MemoryMap } from '../kernel/memory-map.ts';
import { type StackRange, stackWords } from '../kernel/stacks.ts';
import type { Session } from './session.ts';
import { hex } from './text.ts';

/** How words of a stack are shown: as they are, with symbols by name, slab caches as well, or those with addresses, too. */
export type WordStyle = 'plain' | 'symbols' | 'named' | 'addressed';

/** Two words to a line, what the dump lacks in its place. @param head what is in front of the address of a line */
export function* wordLines(
  session: Session,
  start: bigint,
  end: bigint,
  style: WordStyle,
  separator = ':',
  indent = '    ',
): Generator<string> {
  const map = style === 'plain' || style === 'symbols' ? undefined : session.kernel.memoryMap;
  const words = new Map(
    [...stackWords(session.kernel.core, start, end)].map(({ address, word }) => [address, word]),
  );
  for (let at = start; at < end; at += 16n) {
    const shown = [at, at + 8n]
      .filter((each) => each < end)
      .map((each) => wordText(session, words.get(each), style, map));
    yield `${indent}${hex(at)}${separator} ${shown.map((text) => `${text} `).join('')}`;
  }
}

function wordText(
  { kernel }: Session,
  word: bigint | undefined,
  style: WordStyle,
  map: MemoryMap | undefined,
): string {
  if (word === undefined) return '<missing>       ';
  if (style === 'plain') return hex(word);
  const place = kernel.symbolAt(word);
  // What lies far behind a symbol is something that has none.
  if (place !== undefined && place.offset < maxDistance) {
    const { symbol, offset } = place;
    return (offset === 0 ? symbol.name : `${symbol.name}+${offset}`).padEnd(16);
  }
  const object = map?.isDirect(word) ? map.objectAt(word) : undefined;
  if (object === undefined) return hex(word);
  return style === 'named' ? `[${object.cache}]`.padEnd(16) : `[${hex(word)}:${object.cache}]`;
}

const maxDistance = 2 ** 18;

const isCode = (type: string): boolean => /^[tTwW]$/.test(type);

/** bt -t: the words of a stack that are addresses behind the beginning of a function. */
export function* textSymbolLines({ kernel }: Session, stack: StackRange, start: bigint): Generator<string> {
  for (const { address, word } of stackWords(kernel.core, start, stack.end)) {
    const place = kernel.symbolAt(word);
    if (place === undefined || place.offset === 0 || !isCode(place.symbol.type)) continue;
    yield `  [${hex(address)}] ${place.symbol.name} at ${hex(word)}${place.symbol.module === undefined ? '' : ` [${place.symbol.module.name}]`}`;
  }
}
