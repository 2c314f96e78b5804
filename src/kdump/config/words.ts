/**
 * How a line of kdump.conf is taken apart. A `#` begins a comment where a word begins, outside double quotes; within a
 * word or in quotes it belongs to the value. (kdump-utils cuts at any `#`, which shortens paths and arguments.)
 */
export type LineParts = {
  /** Where the name begins in the line, 0-based; -1 for an empty line or a comment. */
  readonly column: number;
  readonly name: string;
  /** Where the value begins in the line, 0-based; the end of the name when there is none. */
  readonly valueColumn: number;
  /** Without the comment, blanks at its ends, and one pair of double quotes around the whole. */
  readonly value: string;
  /** The comment with its `#`, or nothing. */
  readonly comment: string;
};

/** Takes one line apart, whatever it holds. */
export function splitLine(line: string): LineParts {
  const found = /^(\s*)([^\s#]\S*)(\s*)/.exec(line);
  if (found === null) return { column: -1, name: '', valueColumn: 0, value: '', comment: line.trim() };
  const [before, indent, name] = found;
  const rest = line.slice(before.length);
  const at = commentStart(rest);
  const text = rest.slice(0, at).trimEnd();
  return {
    column: indent!.length,
    name: name!,
    valueColumn: text === '' ? indent!.length + name!.length : before.length,
    value: unquote(text),
    comment: rest.slice(at).trimEnd(),
  };
}

/** The value as it is written in a line, so that splitLine() finds it again. */
export function quoteValue(value: string): string {
  const read = splitLine(`x ${value}`);
  return read.value === value && read.comment === '' ? value : `"${value}"`;
}

/** Where the comment begins; the length of the text when there is none. */
export function commentStart(text: string): number {
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') {
      // A quote that nothing closes is a character like others.
      const close = text.indexOf('"', at + 1);
      if (close > 0) at = close;
    } else if (char === '#' && (at === 0 || /\s/.test(text[at - 1]!))) {
      return at;
    }
  }
  return text.length;
}

function unquote(text: string): string {
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1).trim() : text;
}

/** Splits a value into words at blanks; quotes, single or double, keep blanks within a word and go away. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    const close = char === '"' || char === "'" ? text.indexOf(char, at + 1) : -1;
    word = (word ?? '') + (close < 0 ? char : text.slice(at + 1, close));
    if (close >= 0) at = close;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** The words as one value, of which splitWords() makes the same words again. */
export function joinWords(words: readonly string[]): string {
  return words.map((word) => (/^[^\s"'#]+$/.test(word) ? word : quoteWord(word))).join(' ');
}

function quoteWord(word: string): string {
  if (!word.includes('"')) return `"${word}"`;
  if (!word.includes("'")) return `'${word}'`;
  // No quote may stand within its own kind: the word is put together from pieces.
  return word
    .split('"')
    .map((piece) => (piece === '' ? '' : `"${piece}"`))
    .join(`'"'`);
}
