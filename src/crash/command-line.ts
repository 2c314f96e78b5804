import { KdumpError } from '../lib/errors.ts';

/** A line of the shell, taken apart. */
export type CommandLine = {
  /** The command and its arguments; none of an empty line. */
  readonly words: readonly string[];
  readonly output:
    | { readonly kind: 'terminal' }
    | { readonly kind: 'pipe'; readonly shell: string }
    | { readonly kind: 'file'; readonly path: string; readonly append: boolean };
};

const terminal = { kind: 'terminal' } as const;

/**
 * Takes a line apart: words by spaces, what stands in quotes as one word, behind the first | a command of the system's
 * shell, behind > or >> a file. Neither counts in quotes or parentheses. Double quotes go away; a word in single quotes
 * keeps them, as those of a regular expression do in crash(8).
 * @throws KdumpError `usage`
 */
export function parseCommandLine(line: string): CommandLine {
  const words: string[] = [];
  let word: string | undefined;
  let depth = 0;
  const end = (): void => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  for (let at = 0; at < line.length; at++) {
    const letter = line[at]!;
    if (letter === '"' || letter === "'") {
      const close = line.indexOf(letter, at + 1);
      if (close < 0) throw new KdumpError('usage', `a ${letter} without its other half`);
      word = (word ?? '') + (letter === '"' ? line.slice(at + 1, close) : line.slice(at, close + 1));
      at = close;
    } else if (depth === 0 && (letter === '|' || letter === '>')) {
      end();
      return { words, output: outputOf(letter, line.slice(at + 1)) };
    } else if (depth === 0 && /\s/.test(letter)) {
      end();
    } else if (word === undefined && letter === '#') {
      break;
    } else {
      if (letter === '(') depth++;
      if (letter === ')' && depth > 0) depth--;
      word = (word ?? '') + letter;
    }
  }
  end();
  return { words, output: terminal };
}

function outputOf(letter: string, rest: string): CommandLine['output'] {
  if (letter === '|') {
    const shell = rest.trim();
    if (shell === '') throw new KdumpError('usage', 'nothing behind the |');
    return { kind: 'pipe', shell };
  }
  const append = rest.startsWith('>');
  const path = rest
    .slice(append ? 1 : 0)
    .trim()
    .replace(/^(["'])(.*)\1$/, '$2');
  if (path === '' || /\s/.test(path))
    throw new KdumpError('usage', 'the name of one file belongs behind the >');
  return { kind: 'file', path, append };
}

/** Commands of one text, as -c has them: between them semicolons or newlines, which in quotes do not count. */
export function splitCommands(text: string): string[] {
  const commands = [''];
  let quote: string | undefined;
  for (const letter of text) {
    if (quote === undefined && (letter === ';' || letter === '\n')) {
      commands.push('');
      continue;
    }
    if (letter === quote) quote = undefined;
    else if (quote === undefined && (letter === '"' || letter === "'")) quote = letter;
    commands[commands.length - 1] += letter;
  }
  return commands.map((command) => command.trim()).filter((command) => command !== '');
}
