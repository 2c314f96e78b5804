import { KdumpError } from './errors.ts';

/**
 * GNU getopt_long's habits, which users of kexec and makedumpfile rely on: bundled short flags, attached or separate
 * values, unique abbreviations of long options, options after positionals, `--` as the end of options.
 * (node:util parseArgs knows no abbreviations, and yargs costs 35 ms a start, which the capture kernel does not have.)
 */
export type OptionSpec = {
  /** Name under which the option is reported, and its long form unless `long` says otherwise. */
  readonly name: string;
  /** Long forms without dashes; several are synonyms. An empty list: no long form. Defaults to [name]. */
  readonly long?: readonly string[];
  /** One-letter form. */
  readonly short?: string;
  readonly takesValue?: boolean;
};

export type ParsedOption = { readonly name: string; readonly value: string | undefined };

export type ParsedArguments = {
  /** In the order given, so that "the last one wins" and "each one counts" can both be decided by the caller. */
  readonly options: readonly ParsedOption[];
  readonly positionals: readonly string[];
};

const longForms = (spec: OptionSpec): readonly string[] => spec.long ?? [spec.name];

/**
 * Parses `argv` (without the interpreter and script).
 * @throws KdumpError `usage` for an unknown or ambiguous option, a missing value, or a value that is not wanted.
 */
export function getopt(argv: readonly string[], specs: readonly OptionSpec[]): ParsedArguments {
  const options: ParsedOption[] = [];
  const positionals: string[] = [];
  let at = 0;

  const valueAfter = (complaint: string): string => {
    const value = argv[at++];
    if (value === undefined) throw usage(complaint);
    return value;
  };

  while (at < argv.length) {
    const word = argv[at++]!;
    if (word === '--') {
      positionals.push(...argv.slice(at));
      break;
    }
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const typed = equals < 0 ? word.slice(2) : word.slice(2, equals);
      const [spec, whole] = findLong(typed, specs);
      const attached = equals < 0 ? undefined : word.slice(equals + 1);
      if (!spec.takesValue && attached !== undefined)
        throw usage(`option '--${whole}' doesn't allow an argument`);
      options.push({
        name: spec.name,
        value: spec.takesValue
          ? (attached ?? valueAfter(`option '--${whole}' requires an argument`))
          : undefined,
      });
    } else if (word.startsWith('-') && word !== '-') {
      for (let i = 1; i < word.length; i++) {
        const letter = word[i]!;
        const spec = specs.find((s) => s.short === letter);
        if (!spec) throw usage(`invalid option -- '${letter}'`);
        if (!spec.takesValue) {
          options.push({ name: spec.name, value: undefined });
          continue;
        }
        const rest = word.slice(i + 1);
        options.push({
          name: spec.name,
          value: rest !== '' ? rest : valueAfter(`option requires an argument -- '${letter}'`),
        });
        break;
      }
    } else {
      positionals.push(word);
    }
  }
  return { options, positionals };
}

/** The option that is meant, and the long form that was typed or abbreviated. */
function findLong(typed: string, specs: readonly OptionSpec[]): readonly [OptionSpec, string] {
  const exact = specs.find((s) => longForms(s).includes(typed));
  if (exact) return [exact, typed];
  const candidates = specs.flatMap((spec) =>
    longForms(spec)
      .filter((long) => long.startsWith(typed))
      .map((long) => [spec, long] as const),
  );
  if (candidates.length === 0) throw usage(`unrecognized option '--${typed}'`);
  // Synonyms of one option do not make an abbreviation ambiguous.
  if (new Set(candidates.map(([spec]) => spec.name)).size === 1) return candidates[0]!;
  const names = candidates.map(([, long]) => `'--${long}'`).join(', ');
  throw usage(`option '--${typed}' is ambiguous; possibilities: ${names}`);
}

function usage(message: string): KdumpError {
  return new KdumpError('usage', message);
}

/** Value of the last occurrence of an option, or undefined. */
export function lastValue(parsed: ParsedArguments, name: string): string | undefined {
  return parsed.options.findLast((o) => o.name === name)?.value;
}

export function hasOption(parsed: ParsedArguments, name: string): boolean {
  return parsed.options.some((o) => o.name === name);
}
