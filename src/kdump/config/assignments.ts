import { parse } from 'ini';
import type { Finding } from './finding.ts';
import { largestConfig } from './parse.ts';
import { commentStart } from './words.ts';

/** One NAME="value" of a file that shells and systemd read as well. */
export type Assignment = { readonly name: string; readonly value: string; readonly line: number };

export type Assignments = {
  /** By name; the last one of a name counts. */
  readonly variables: ReadonlyMap<string, Assignment>;
  readonly findings: readonly Finding[];
};

/**
 * Reads /etc/sysconfig/kdump or /etc/default/kdump-tools as data: nothing in it is executed or expanded. What only a
 * shell would understand is named in a warning, and its line either left out or taken literally.
 */
export function parseAssignments(text: string, file: string): Assignments {
  const findings: Finding[] = [];
  const variables = new Map<string, Assignment>();
  const warn = (code: string, line: number, message: string, fix?: string): void => {
    findings.push({
      severity: 'warning',
      code,
      file,
      line,
      column: 0,
      message,
      ...(fix === undefined ? {} : { fix }),
    });
  };
  if (text.length > largestConfig || text.includes('\0')) {
    const message = 'this is not a file of NAME="value" lines';
    return {
      variables,
      findings: [{ severity: 'error', code: 'not-a-config', file, line: 0, column: 0, message }],
    };
  }
  for (const { text: statement, line } of statements(text)) {
    const found = /^(?:export\s+)?([A-Za-z_]\w*)(\+?)=(.*)$/s.exec(statement);
    if (found === null) {
      warn(
        'not-an-assignment',
        line,
        `"${shorten(statement)}" is not NAME="value", and is left out.`,
        readAsData,
      );
      continue;
    }
    const [, name, plus, raw] = found as unknown as [string, string, string, string];
    const { literal, why } = asWritten(raw);
    if (plus !== '')
      warn(
        'shell-construct',
        line,
        `${name}+= does not add to the value here, and is left out.`,
        'Write the whole value.',
      );
    else if (literal === undefined)
      warn('shell-construct', line, `The value of ${name} has ${why}, and is left out.`, readAsData);
    else {
      if (why !== undefined)
        warn('shell-construct', line, `${why} in the value of ${name} is taken literally.`, readAsData);
      variables.set(name, { name, line, value: asData(name, literal) });
    }
  }
  return { variables, findings };
}

const readAsData = 'Settings are read as data: NAME="value", nothing in it is executed.';

/** The reading of a line by ini, in the one form of it that ini and shells agree on. Its guesses at types do not count. */
function asData(name: string, literal: string): string {
  const value: unknown = parse(`${name}=${JSON.stringify(literal)}`)[name];
  return typeof value === 'string' ? value : literal;
}

/** Lines, with those joined that a backslash at the end or an open quote joins. */
function statements(text: string): { text: string; line: number }[] {
  const lines = text.split(/\r?\n/);
  const found: { text: string; line: number }[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    if (/^\s*([#;]|$)/.test(lines[at]!)) continue;
    let joined = lines[at]!;
    const quote = openQuote(joined);
    // A quote that is closed nowhere takes no more than its line.
    const close = quote === '' ? -1 : lines.findIndex((next, index) => index > at && next.includes(quote));
    for (; at < close; at++) joined = `${joined.replace(/\\$/, '')} ${lines[at + 1]!.trim()}`;
    for (; joined.endsWith('\\') && at + 1 < lines.length; at++)
      joined = `${joined.slice(0, -1)}${lines[at + 1]!}`;
    found.push({ text: joined.slice(0, commentStart(joined)).trim(), line });
  }
  return found;
}

/** The quote in which the value of a line is still open at its end, or nothing. */
function openQuote(line: string): string {
  const quote = /=(["'])/.exec(line)?.[1] ?? '';
  if (quote === '') return '';
  const rest = line.slice(line.indexOf(`=${quote}`) + 2);
  return rest.replaceAll(/\\./g, '').includes(quote) ? '' : quote;
}

/** What a shell would make of a value without running anything, and what it would have run. */
function asWritten(raw: string): { literal?: string; why?: string } {
  const text = raw.trim();
  if (text.startsWith("'")) {
    return /^'[^']*'$/.test(text)
      ? { literal: text.slice(1, -1) }
      : { why: 'an open quote, or more than one word' };
  }
  const quoted = text.startsWith('"');
  if (quoted ? !/^"([^"\\]|\\.)*"$/s.test(text) : /["'\s;&|<>()]/.test(text))
    return { why: 'an open quote, or more than one word' };
  const inner = quoted ? text.slice(1, -1) : text;
  const literal = inner.replaceAll(quoted ? /\\([$`"\\])/g : /\\(.)/g, '$1');
  const bare = inner.replaceAll(/\\./g, '');
  const construct = /\$\(|`/.test(bare) ? 'a command' : /\$[\w{]/.exec(bare) ? 'a variable' : undefined;
  return construct === undefined ? { literal } : { literal, why: construct };
}

const shorten = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 60)}...`);
