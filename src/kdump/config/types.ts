import { KdumpError } from '../../lib/errors.ts';
import { parseSize } from '../../lib/size.ts';
import { joinWords, splitWords } from './words.ts';

/** What the text of a value stands for; or why it stands for nothing; or what to say about it though it does. */
export type Reading<T> =
  | { readonly value: T; readonly warning?: string; readonly wrong?: undefined }
  | { readonly wrong: string; readonly value?: undefined };

/** A kind of value: how it is written, and how it is read. */
export type ValueType<T> = {
  /** How it is written, for people: `PATH`, `yes|no`. */
  readonly syntax: string;
  readonly choices?: readonly string[];
  /** @param text not empty, without blanks at its ends */
  read(text: string): Reading<T>;
  /** The text that stands for a value. */
  write(value: T): string;
};

/** One of some words. */
export function choice<const W extends string>(...words: readonly W[]): ValueType<W> {
  const syntax = words.join('|');
  return {
    syntax,
    choices: words,
    read: (text) => {
      const value = words.find((word) => word === text);
      return value === undefined ? { wrong: `"${text}" is none of ${words.join(', ')}` } : { value };
    },
    write: String,
  };
}

/** yes or no, where the original takes everything but "no" for yes. */
export const yesNo: ValueType<boolean> = {
  syntax: 'yes|no',
  choices: ['yes', 'no'],
  read: (text) => ({
    value: text !== 'no',
    ...(text === 'yes' || text === 'no' ? {} : { warning: `"${text}" counts as yes` }),
  }),
  write: (value) => (value ? 'yes' : 'no'),
};

/** 0 or 1. */
export const zeroOne: ValueType<boolean> = {
  syntax: '0|1',
  choices: ['0', '1'],
  read: (text) =>
    text === '0' || text === '1' ? { value: text === '1' } : { wrong: `"${text}" is neither 0 nor 1` },
  write: (value) => (value ? '1' : '0'),
};

/** An absolute path that leads nowhere else than it says. */
export const path: ValueType<string> = {
  syntax: 'PATH',
  read: (text) => {
    if (!text.startsWith('/')) return { wrong: `"${text}" is not an absolute path` };
    const problem = pathProblem(text);
    return problem === undefined ? { value: text } : { wrong: problem };
  },
  write: String,
};

/** A directory on the target, seen from the target's root: it begins there whether or not it is written with a slash. */
export const directory: ValueType<string> = {
  syntax: 'DIRECTORY',
  read: (text) => {
    const problem = pathProblem(text);
    if (problem !== undefined) return { wrong: problem };
    return { value: `/${text.split('/').filter(Boolean).join('/')}` };
  },
  write: String,
};

function pathProblem(text: string): string | undefined {
  if (text.split('/').includes('..')) return `"${text}" leads out of its directory by ".."`;
  if (/[\0-\x1f\x7f]/.test(text)) return 'a path holds no control characters';
  return undefined;
}

/** A program of this machine, without arguments. */
export const program: ValueType<string> = { ...path, syntax: 'PROGRAM' };

/** Words separated by blanks; quotes keep blanks in a word. */
export function words(syntax: string, allowed?: RegExp): ValueType<readonly string[]> {
  return {
    syntax,
    read: (text) => {
      const value = splitWords(text);
      const odd = allowed && value.find((word) => !allowed.test(word));
      return odd === undefined ? { value } : { wrong: `"${odd}" is not a name` };
    },
    write: joinWords,
  };
}

/** A number of things, 0 for "no bound". */
export const count: ValueType<number> = {
  syntax: 'NUMBER',
  read: (text) =>
    /^\d{1,9}$/.test(text) ? { value: Number(text) } : { wrong: `"${text}" is not a whole number` },
  write: String,
};

/** Bytes, with K, M, G, T after the number for 1024 and its powers. */
export const size: ValueType<number> = {
  syntax: 'SIZE',
  read: (text) => {
    if (/^0+$/.test(text)) return { value: 0 };
    try {
      return { value: parseSize(text, 'size') };
    } catch (error) {
      if (!(error instanceof KdumpError)) throw error;
      return { wrong: `"${text}" is not a size such as 512M` };
    }
  },
  write: String,
};

/** Per cent of a file system. */
export const percent: ValueType<number> = {
  syntax: 'PERCENT',
  read: (text) => {
    const found = /^(\d{1,2})%?$/.exec(text);
    return found === null
      ? { wrong: `"${text}" is not a share from 0 to 99 per cent` }
      : { value: Number(found[1]) };
  },
  write: String,
};

const secondsIn: Record<string, number> = { '': 1, s: 1, m: 60, min: 60, h: 3600, d: 86400, w: 604800 };

/** A span of time: seconds, or a number with s, m, h, d or w. */
export const duration: ValueType<number> = {
  syntax: 'TIME',
  read: (text) => {
    const found = /^(\d{1,9})\s*(s|m|min|h|d|w|)$/.exec(text);
    return found === null
      ? { wrong: `"${text}" is not a time such as 90, 15m, 2h or 30d` }
      : { value: Number(found[1]) * secondsIn[found[2]!]! };
  },
  write: String,
};

/** Space that must be there: bytes, or a share of the whole. */
export type Space = { readonly bytes: number } | { readonly percent: number };
export const space: ValueType<Space> = {
  syntax: 'SIZE|PERCENT%',
  read: (text) => {
    const read = text.endsWith('%') ? percent.read(text) : size.read(text);
    if (read.wrong !== undefined) return read;
    return { value: text.endsWith('%') ? { percent: read.value } : { bytes: read.value } };
  },
  write: (value) => ('bytes' in value ? String(value.bytes) : `${value.percent}%`),
};

/** Who is told about a dump, and when. */
export type Notification = {
  /** In the capture kernel, as soon as it is known; or at the next boot. */
  readonly when: 'capture' | 'boot';
  readonly how: 'exec' | 'post';
  /** The program, or the URL. */
  readonly to: string;
};
export const notification: ValueType<Notification> = {
  syntax: 'capture|boot exec PROGRAM|post URL',
  read: (text) => {
    const found = /^(capture|boot)\s+(exec|post)\s+(\S.*)$/.exec(text);
    if (found === null)
      return { wrong: `"${text}" is not "capture" or "boot", then "exec PROGRAM" or "post URL"` };
    const [, when, how, to] = found as unknown as [string, Notification['when'], Notification['how'], string];
    const problem = how === 'exec' ? program.read(to).wrong : urlProblem(to);
    return problem === undefined ? { value: { when, how, to } } : { wrong: problem };
  },
  write: ({ when, how, to }) => `${when} ${how} ${to}`,
};

function urlProblem(text: string): string | undefined {
  if (/\s/.test(text) || !URL.canParse(text)) return `"${text}" is not a URL`;
  const { protocol } = new URL(text);
  return protocol === 'http:' || protocol === 'https:' ? undefined : `"${text}" is neither http nor https`;
}
