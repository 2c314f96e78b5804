import { KdumpError } from '../../lib/errors.ts';

/**
 * The file that tells what to erase from a dump (--config), see makedumpfile.conf(5). A sequence of words; line ends
 * count for comments and section headings only:
 *
 *   [vmlinux] | [MODULE]
 *   erase SYMBOL[.member…] [size NUMBER[K|M] | size SYMBOL[.member…] | nullify]
 *   for NAME in SYMBOL[.member…] [via MEMBER | within STRUCT[:MEMBER]]
 *     erase NAME[.member…] …
 *   endfor
 */
export type Place = { readonly line: number; readonly column: number };

/** A symbol or the variable of a loop, and the members that lead from it to what is meant. */
export type Expression = Place & {
  /** As it is written. */
  readonly text: string;
  readonly root: string;
  readonly members: readonly string[];
  /** Whether `root` is the variable of the loop around it. */
  readonly isLoopVariable: boolean;
};

export type EraseSize =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'value'; readonly of: Expression };

export type EraseCommand = Place & {
  readonly kind: 'erase';
  readonly what: Expression;
  readonly nullify: boolean;
  readonly size: EraseSize | undefined;
};

export type ForLoop = Place & {
  readonly kind: 'for';
  readonly variable: string;
  readonly over: Expression;
  /** Member that points to the next element. */
  readonly via: string | undefined;
  /** Structure that the list_head of `over` chains, and its member for that; 'list' when the file does not say. */
  readonly within: { readonly struct: string; readonly member: string } | undefined;
  readonly body: readonly EraseCommand[];
};

export type EraseSection = Place & {
  /** 'vmlinux', or a kernel module. */
  readonly module: string;
  readonly commands: readonly (EraseCommand | ForLoop)[];
};

/** More than any file that someone wrote. */
const maxLength = 2 ** 24;
const keywords = new Set(['erase', 'size', 'nullify', 'for', 'in', 'within', 'endfor']);
const kernel = 'vmlinux';

type Word = Place & { readonly text: string; readonly heading: boolean };

/**
 * Reads a file of erase commands.
 * @param path for errors, which also name line and column
 * @throws KdumpError `bad-erase-config`: nothing is erased on the word of a file that was understood by half
 */
export function parseEraseConfig(text: string, path: string): EraseSection[] {
  if (text.length > maxLength) {
    throw new KdumpError('bad-erase-config', `${path}: ${text.length} bytes are no file of erase commands`);
  }
  return new Parser(words(text, path), path).sections();
}

function wrong(path: string, at: Place, what: string): KdumpError {
  return new KdumpError('bad-erase-config', `${path}:${at.line}:${at.column}: ${what}`, {
    fix: 'See makedumpfile.conf(5) for what such a file looks like.',
    facts: { file: path, line: at.line, column: at.column },
  });
}

function words(text: string, path: string): Word[] {
  const found: Word[] = [];
  for (const [index, full] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const source = full.replace(/#.*$/, '');
    if (source.startsWith('[')) {
      const end = source.indexOf(']');
      const name = source.slice(1, end < 0 ? undefined : end).trim();
      const at = { line, column: 1 };
      if (end < 0) throw wrong(path, at, `the heading '${source.trim()}' lacks its ]`);
      if (!/^[\w-]+$/.test(name)) throw wrong(path, at, `'${name}' is no name of a module`);
      const rest = source.slice(end + 1);
      if (rest.trim() !== '') {
        const column = end + 2 + rest.search(/\S/);
        throw wrong(path, { line, column }, 'commands start on the line behind a heading');
      }
      found.push({ ...at, text: name, heading: true });
      continue;
    }
    for (const match of source.matchAll(/\S+/g))
      found.push({ line, column: match.index + 1, text: match[0], heading: false });
  }
  return found;
}

class Parser {
  readonly #words: readonly Word[];
  readonly #path: string;
  #next = 0;

  constructor(all: readonly Word[], path: string) {
    this.#words = all;
    this.#path = path;
  }

  sections(): EraseSection[] {
    const sections: EraseSection[] = [];
    let commands: (EraseCommand | ForLoop)[] = [];
    // Commands before the first heading are for the kernel itself.
    sections.push({ module: kernel, line: 1, column: 1, commands });
    while (this.#next < this.#words.length) {
      const word = this.#words[this.#next++]!;
      if (word.heading) {
        commands = [];
        sections.push({ module: word.text, line: word.line, column: word.column, commands });
      } else if (word.text === 'erase') {
        commands.push(this.#erase(word, undefined));
      } else if (word.text === 'for') {
        commands.push(this.#loop(word));
      } else {
        throw wrong(this.#path, word, `expected erase or for, found '${word.text}'`);
      }
    }
    return sections.filter((section) => section.commands.length > 0);
  }

  #erase(start: Word, loopVariable: string | undefined): EraseCommand {
    const what = this.#expression(this.#operand('a symbol', 'erase'), loopVariable);
    if (loopVariable !== undefined && !what.isLoopVariable) {
      throw wrong(
        this.#path,
        what,
        `'${what.root}' is not the variable of the loop, '${loopVariable}': erase it outside`,
      );
    }
    const nullify = this.#take('nullify');
    const size = !nullify && this.#take('size') ? this.#size(loopVariable) : undefined;
    return { kind: 'erase', line: start.line, column: start.column, what, nullify, size };
  }

  #size(loopVariable: string | undefined): EraseSize {
    const word = this.#operand('a number or a symbol', 'size');
    if (!/^[-+\d]/.test(word.text)) return { kind: 'value', of: this.#expression(word, loopVariable) };
    const number = /^(\d+)([kKmM]?)$/.exec(word.text);
    const scale = { '': 1, k: 1024, m: 1024 * 1024 }[number?.[2]?.toLowerCase() ?? ''] ?? 1;
    const bytes = Number(number?.[1]) * scale;
    if (number === null || !Number.isSafeInteger(bytes)) {
      throw wrong(this.#path, word, `'${word.text}' is no size: a number of bytes, or of K or M`);
    }
    return { kind: 'bytes', bytes };
  }

  #loop(start: Word): ForLoop {
    const variable = this.#operand('the name of a variable', 'for');
    if (!/^[A-Za-z_]\w*$/.test(variable.text))
      throw wrong(this.#path, variable, `'${variable.text}' is no name of a variable`);
    if (!this.#take('in')) throw this.#unexpected('in', `for ${variable.text}`);
    const over = this.#expression(this.#operand('a symbol', 'in'), undefined);
    let via: string | undefined;
    let within: ForLoop['within'];
    if (this.#take('via')) {
      const member = this.#operand('a member', 'via');
      if (!/^\w+$/.test(member.text))
        throw wrong(this.#path, member, `'${member.text}' is no name of a member`);
      via = member.text;
    } else if (this.#take('within')) {
      const word = this.#operand('STRUCT:MEMBER', 'within');
      const parts = /^(\w+)(?::(\w+))?$/.exec(word.text);
      if (parts === null) throw wrong(this.#path, word, `'${word.text}' is not STRUCT:MEMBER`);
      within = { struct: parts[1]!, member: parts[2] ?? 'list' };
    }
    const body: EraseCommand[] = [];
    while (!this.#take('endfor')) {
      const word = this.#words[this.#next];
      if (word === undefined || word.heading)
        throw wrong(this.#path, start, `'for ${variable.text}' has no endfor`);
      if (!this.#take('erase')) throw this.#unexpected('erase or endfor', 'in a loop');
      body.push(this.#erase(word, variable.text));
    }
    return {
      kind: 'for',
      line: start.line,
      column: start.column,
      variable: variable.text,
      over,
      via,
      within,
      body,
    };
  }

  #expression(word: Word, loopVariable: string | undefined): Expression {
    // Pointers are followed by a dot as well; who writes C's arrow means the same.
    const [root, ...members] = word.text.split(/\.|->/).filter((part) => part !== '');
    const parts = root === undefined ? [] : [root, ...members];
    if (parts.length === 0 || parts.some((part) => !/^[\w$]+$/.test(part)))
      throw wrong(this.#path, word, `'${word.text}' is no symbol with members`);
    return {
      line: word.line,
      column: word.column,
      text: word.text,
      root: parts[0]!,
      members,
      isLoopVariable: parts[0] === loopVariable,
    };
  }

  /** The word behind a keyword, which cannot be a keyword itself. */
  #operand(what: string, keyword: string): Word {
    const word = this.#words[this.#next];
    if (word === undefined || word.heading || keywords.has(word.text)) throw this.#unexpected(what, keyword);
    this.#next++;
    return word;
  }

  #take(text: string): boolean {
    const word = this.#words[this.#next];
    if (word === undefined || word.heading || word.text !== text) return false;
    this.#next++;
    return true;
  }

  #unexpected(expected: string, after: string): KdumpError {
    const word = this.#words[this.#next];
    const last = this.#words.at(-1);
    const at = word ?? {
      line: last?.line ?? 1,
      column: (last?.column ?? 1) + (last?.text.length ?? 0),
    };
    const found = word === undefined ? 'the end of the file' : `'${word.text}'`;
    return wrong(this.#path, at, `expected ${expected} behind '${after}', found ${found}`);
  }
}
