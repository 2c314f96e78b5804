import { anyDirective, type DirectiveName, directiveNames } from './directives.ts';
import type { KdumpConfig, Origin } from './parsed.ts';
import { describeTarget } from './target.ts';
import { quoteValue } from './words.ts';

/** A setting as a line of kdump.conf would have it. */
export type ListedSetting = {
  readonly name: string;
  /** One per line that it takes; none: it is not set. */
  readonly values: readonly string[];
  readonly origin: Origin;
};

/** All settings in the order of the manual, the target first. */
export function listSettings({ target, settings, origins }: KdumpConfig): ListedSetting[] {
  const described = target === null ? [] : [describeTarget(target)];
  return [
    { name: 'target', values: described, origin: origins.target },
    ...directiveNames.map((name) => ({
      name,
      values: valuesOf(name, settings[name]),
      origin: origins[name],
    })),
  ];
}

function valuesOf(name: DirectiveName, value: unknown): string[] {
  const { type, repeatable } = anyDirective(name);
  if (repeatable) return (value as readonly unknown[]).map((item) => type.write(item));
  if (value === null) return [];
  const text = type.write(value);
  return text === '' ? [] : [text];
}

/** Where a value comes from, for people. */
export function describeOrigin(origin: Origin): string {
  if (origin.from === 'default') return 'default';
  return `${origin.file}:${origin.line}${origin.variable === undefined ? '' : ` ${origin.variable}`}`;
}

/** A setting as lines of a kdump.conf, with where it comes from as comment; what is not in a file is a comment itself. */
export function printSetting({ name, values, origin }: ListedSetting): string {
  if (values.length === 0) return `# ${name}: not set\n`;
  const mark = origin.from === 'default' ? '# ' : '';
  const from = describeOrigin(origin);
  return values
    .map((value) => `${mark}${name === 'target' ? value : `${name} ${quoteValue(value)}`}  # ${from}\n`)
    .join('');
}
