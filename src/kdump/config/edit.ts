import { chownSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { writeFileDurably } from '../../system/durable.ts';
import { type DirectiveName, directives, isDirective, renamedDirectives } from './directives.ts';
import { decode, readBounded } from './files.ts';
import { type Finding, isError } from './finding.ts';
import { configFile, parseConfig } from './parse.ts';
import type { ParsedConfig } from './parsed.ts';
import { throwForErrors } from './settings.ts';
import { isTargetDirective } from './target.ts';
import { quoteValue, splitLine } from './words.ts';

/** A change of kdump.conf; what it does not name stays as it is, comments and order included. */
export type Edit =
  | { readonly action: 'set'; readonly name: string; readonly value: string; readonly add: boolean }
  | { readonly action: 'unset'; readonly name: string };

/**
 * The text with the change.
 * @throws KdumpError `config-invalid` when the change would make an error that was not there, `usage` for what no line
 * can hold
 */
export function editConfig(text: string, edit: Edit, file: string = configFile): string {
  const changed = edit.action === 'set' ? withLine(text, edit) : withoutLines(text, slotOf(edit.name));
  // Told by what is wrong and the line itself, since the change moves lines.
  const before = errorsOf(text, file).map(({ key }) => key);
  const made = errorsOf(changed, file)
    .filter(({ key }) => {
      const at = before.indexOf(key);
      if (at >= 0) before.splice(at, 1);
      return at < 0;
    })
    .map(({ error }) => error);
  throwForErrors(made, `${file} is as it was.`);
  return changed;
}

function errorsOf(text: string, file: string): { key: string; error: Finding }[] {
  const lines = text.split('\n');
  return parseConfig(text, file)
    .findings.filter(isError)
    .map((error) => ({ key: `${error.code} ${lines[error.line - 1]}`, error }));
}

/**
 * Changes the kdump.conf below `root`: as a whole or not at all, with the mode and the owner that it has.
 * @returns what is to be said about the file as it is now
 */
export function editConfigFile(
  root: string,
  edit: Edit,
): { parsed: ParsedConfig; findings: readonly Finding[] } {
  const path = join(root, configFile);
  const stats = statSync(path, { throwIfNoEntry: false });
  const { text, encoding } =
    readBounded(path) === undefined ? { text: '', encoding: 'utf8' as const } : decode(readFileSync(path));
  const changed = editConfig(text, encoding === 'utf8' ? edit : inBytes(edit));
  if (changed !== text || stats === undefined) {
    // Where the file is a link, what it leads to is changed.
    const real = stats === undefined ? path : realpathSync(path);
    writeFileDurably(real, Buffer.from(changed, encoding), stats === undefined ? 0o644 : stats.mode & 0o7777);
    if (stats !== undefined && (stats.uid !== process.getuid?.() || stats.gid !== process.getgid?.()))
      chownSync(real, stats.uid, stats.gid);
  }
  const parsed = parseConfig(changed);
  return { parsed, findings: parsed.findings };
}

/** Each byte of the value as one character, as the rest of such a file is read. */
const inBytes = (edit: Edit): Edit =>
  edit.action === 'set' ? { ...edit, value: Buffer.from(edit.value).toString('latin1') } : edit;

/** What a name stands for: all target directives are one slot. */
function slotOf(name: string): string {
  const renamed = Object.hasOwn(renamedDirectives, name) ? renamedDirectives[name]! : name;
  return isTargetDirective(renamed) ? 'target' : renamed;
}

function withLine(text: string, { name, value, add }: Extract<Edit, { action: 'set' }>): string {
  if (/[\0\n\r]/.test(value)) throw new KdumpError('usage', `the value of ${name} must stand on one line`);
  const slot = slotOf(name);
  const repeatable = isDirective(slot) && 'repeatable' in directives[slot];
  if (add && !repeatable)
    throw new KdumpError('usage', `${name} can be given only once`, {
      fix: 'Leave --add out to replace its value.',
    });
  const lines = text.split('\n');
  const places = placesOf(lines, slot);
  const written = `${name} ${quoteValue(value)}`;
  if (places.length === 0 || add) {
    lines.splice(placeForNew(lines, name, places), 0, written);
    return lines.join('\n');
  }
  const [first, ...rest] = places as [number, ...number[]];
  const { comment } = splitLine(lines[first]!);
  const ending = lines[first]!.endsWith('\r') ? '\r' : '';
  lines[first] = `${written}${comment === '' ? '' : `  ${comment}`}${ending}`;
  return lines.filter((_, index) => !rest.includes(index)).join('\n');
}

function withoutLines(text: string, slot: string): string {
  const lines = text.split('\n');
  const places = placesOf(lines, slot);
  return lines.filter((_, index) => !places.includes(index)).join('\n');
}

const placesOf = (lines: readonly string[], slot: string): number[] =>
  lines.flatMap((line, index) => {
    const { column, name } = splitLine(line);
    return column >= 0 && slotOf(name) === slot ? [index] : [];
  });

/** After the last of its kind; else after an example of it, `#name value`; else at the end. */
function placeForNew(lines: string[], name: DirectiveName | string, places: readonly number[]): number {
  if (places.length > 0) return places.at(-1)! + 1;
  const example = lines.findLastIndex((line) => line.startsWith(`#${name} `) || line === `#${name}`);
  if (example >= 0) return example + 1;
  if (lines.at(-1) !== '') lines.push('');
  return lines.length - 1;
}
