import { crossCheck } from './cross-check.ts';
import {
  anyDirective,
  type DirectiveName,
  directiveNames,
  isDirective,
  removedDirectives,
  renamedDirectives,
} from './directives.ts';
import type { Finding } from './finding.ts';
import type { Entry, KdumpConfig, Origin, ParsedConfig } from './parsed.ts';
import { isTargetDirective, readTarget, type Target, targetOfDracutArgs } from './target.ts';
import type { Reading } from './types.ts';
import { splitLine } from './words.ts';

const mostFindings = 50;
const manual = 'See kdump.conf(5), or kdumpctl config schema.';

/** Takes a configuration line by line, and keeps going whatever is wrong with one. */
export class ConfigReader {
  readonly #file: string;
  readonly #findings: Finding[] = [];
  readonly #entries: Entry[] = [];
  readonly #values = new Map<DirectiveName, unknown>();
  readonly #first = new Map<string, number>();
  #target: Target | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  take(text: string, line: number): undefined {
    const parts = splitLine(text);
    if (parts.column < 0) return;
    const { name, value } = parts;
    const at = { line, column: parts.column + 1 };
    const valueAt = { line, column: parts.valueColumn + 1 };

    if (Object.hasOwn(removedDirectives, name))
      return this.#error(
        'deprecated-option',
        at,
        `Deprecated kdump config option: ${name}. Refer to kdump.conf manpage for alternatives.`,
        removedDirectives[name],
      );
    const renamed = Object.hasOwn(renamedDirectives, name) ? renamedDirectives[name]! : name;
    if (renamed !== name)
      this.#warn(
        'renamed-option',
        at,
        `Option '${name}' was renamed '${renamed}' and will be removed in the future.`,
        `Write ${renamed} instead.`,
      );
    if (!isDirective(renamed) && !isTargetDirective(renamed))
      return this.#error('unknown-option', at, `Invalid kdump config option ${shorten(name)}`, nearest(name));
    if (value === '') return this.#invalid(name, at, 'it has none');
    const hash = value.indexOf('#');
    if (hash >= 0)
      this.#warn(
        'hash-in-value',
        { line, column: text.indexOf('#', parts.valueColumn) + 1 },
        `The # belongs to the value of ${name}, since it stands in quotes or within a word; kdump-utils ends the value there.`,
        'Write a blank before a # that begins a comment.',
      );

    if (isTargetDirective(renamed)) this.#takeTarget(renamed, readTarget(renamed, value), value, at, valueAt);
    else this.#takeSetting(renamed, name, value, at, valueAt);
  }

  #takeSetting(slot: DirectiveName, name: string, value: string, at: Place, valueAt: Place): undefined {
    const { type, repeatable } = anyDirective(slot);
    const earlier = this.#first.get(slot);
    if (earlier !== undefined && !repeatable)
      return this.#error(
        'duplicate-option',
        at,
        `Duplicated kdump config value of option ${name}, first given in line ${earlier}`,
        'Keep one of the two lines.',
      );
    const read = type.read(value);
    if (read.wrong !== undefined) return this.#invalid(name, valueAt, read.wrong);
    if (slot === 'dracut_args' && !this.#mountOfDracut(read.value as readonly string[], value, at, valueAt))
      return;
    if (read.warning !== undefined) this.#warn('odd-value', valueAt, `${name}: ${read.warning}.`);
    if (earlier === undefined) this.#first.set(slot, at.line);
    const list = (this.#values.get(slot) ?? []) as unknown[];
    this.#values.set(slot, repeatable ? [...list, read.value] : read.value);
    this.#entries.push({ name, slot, value, line: at.line });
  }

  #takeTarget(name: string, read: Reading<Target>, value: string, at: Place, valueAt: Place): undefined {
    if (!this.#targetIsFree(at)) return;
    if (read.wrong !== undefined) return this.#invalid(name, valueAt, read.wrong);
    this.#target = read.value;
    this.#entries.push({ name, slot: 'target', value, line: at.line });
  }

  /** A --mount among the arguments for dracut is a target. @returns false when the line does not count */
  #mountOfDracut(args: readonly string[], text: string, at: Place, valueAt: Place): boolean {
    if (text.split('--mount').length > 2) {
      this.#error('several-targets', valueAt, 'Multiple mount targets specified in one "dracut_args".');
      return false;
    }
    const read = targetOfDracutArgs(args);
    if (read === undefined) return true;
    if (!this.#targetIsFree(at)) return false;
    if (read.wrong !== undefined) {
      this.#invalid('dracut_args', valueAt, read.wrong);
      return false;
    }
    this.#target = read.value;
    return true;
  }

  #targetIsFree(at: Place): boolean {
    const earlier = this.#first.get('target');
    if (earlier === undefined) {
      this.#first.set('target', at.line);
      return true;
    }
    this.#error(
      'several-targets',
      at,
      `More than one dump targets specified, the first in line ${earlier}`,
      'Keep one, and write the others as "fallback_target KIND VALUE", in the order in which they are to be tried.',
    );
    return false;
  }

  result(): ParsedConfig {
    const settings: Partial<Record<DirectiveName, unknown>> = {};
    const origins: Record<string, Origin> = { target: this.#origin('target') };
    for (const name of directiveNames) {
      const given = this.#values.get(name);
      settings[name] = given === undefined ? anyDirective(name).default : given;
      origins[name] = this.#origin(name);
    }
    const config = { target: this.#target, settings, origins } as KdumpConfig;
    this.#findings.push(...crossCheck(config, this.#file));
    return { config, entries: this.#entries, findings: bounded(this.#findings, this.#file) };
  }

  #origin(slot: string): Origin {
    const line = this.#first.get(slot);
    return line === undefined ? { from: 'default' } : { from: 'file', file: this.#file, line };
  }

  #invalid(name: string, at: Place, why: string): undefined {
    this.#error(
      'invalid-value',
      at,
      `Invalid kdump config value for option '${name}': ${shorten(why)}`,
      isDirective(name) ? `It is written: ${name} ${anyDirective(name).type.syntax}` : manual,
    );
  }

  #error(code: string, at: Place, message: string, fix?: string): undefined {
    this.#findings.push({
      severity: 'error',
      code,
      file: this.#file,
      ...at,
      message,
      ...(fix === undefined ? {} : { fix }),
    });
  }

  #warn(code: string, at: Place, message: string, fix?: string): undefined {
    this.#error(code, at, message, fix);
    this.#findings.push({ ...this.#findings.pop()!, severity: 'warning' });
  }
}

type Place = { readonly line: number; readonly column: number };

function bounded(findings: readonly Finding[], file: string): readonly Finding[] {
  const sorted = findings.toSorted((a, b) => a.line - b.line || a.column - b.column);
  if (sorted.length <= mostFindings) return sorted;
  return [
    ...sorted.slice(0, mostFindings),
    {
      // Among what is left out may be an error.
      severity: 'error',
      code: 'too-many-findings',
      file,
      line: 0,
      column: 0,
      message: `${sorted.length - mostFindings} more findings are not listed`,
    },
  ];
}

const longestShown = 200;
const shorten = (text: string): string =>
  text.length <= longestShown ? text : `${text.slice(0, longestShown)}...`;

/** The advice for an unknown name: the one that was meant, if there is one like it. */
function nearest(name: string): string {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_]/g, '');
  const meant = directiveNames.find((known) => plain(known) === plain(name));
  return meant === undefined ? manual : `Did you mean ${meant}?`;
}
