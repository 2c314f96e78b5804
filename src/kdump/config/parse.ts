import { ConfigReader } from './config-reader.ts';
import type { Finding } from './finding.ts';
import type { KdumpConfig, ParsedConfig } from './parsed.ts';
import { quoteValue } from './words.ts';

export const configFile = '/etc/kdump.conf';
/** More than any configuration has; more than that is something else. */
export const largestConfig = 1 << 20;

/**
 * Reads a kdump.conf. Never throws: whatever the text is, what is wrong with it is in the findings, all of it at once.
 * @param file named in the findings
 */
export function parseConfig(text: string, file: string = configFile): ParsedConfig {
  const problem =
    text.length > largestConfig
      ? `${text.length} characters are too many for a configuration`
      : text.includes('\0')
        ? 'this is not text'
        : undefined;
  if (problem !== undefined) {
    const finding: Finding = {
      severity: 'error',
      code: 'not-a-config',
      file,
      line: 0,
      column: 0,
      message: problem,
    };
    return { ...new ConfigReader(file).result(), findings: [finding] };
  }
  const reader = new ConfigReader(file);
  for (const [index, line] of text.split('\n').entries()) reader.take(line, index + 1);
  return reader.result();
}

/** A directive that is given by something else than a line of kdump.conf. */
export type GivenDirective = {
  readonly name: string;
  readonly value: string;
  readonly line: number;
  /** The variable that says it. */
  readonly variable: string;
};

/** A configuration from directives that stand in another file, with the same checks. */
export function configOf(given: readonly GivenDirective[], file: string): ParsedConfig {
  const reader = new ConfigReader(file);
  for (const { name, value, line } of given) reader.take(`${name} ${quoteValue(value)}`, line);
  const { config, entries, findings } = reader.result();
  const origins = Object.fromEntries(
    Object.entries(config.origins).map(([slot, origin]) => {
      const entry = origin.from === 'file' && entries.find((e) => e.slot === slot && e.line === origin.line);
      const by = entry && given.find(({ name, line }) => name === entry.name && line === entry.line);
      return [slot, by ? { ...origin, variable: by.variable } : origin];
    }),
  ) as KdumpConfig['origins'];
  // Columns are those of lines that nobody wrote.
  const placed = findings.map((finding) => ({ ...finding, column: 0 }));
  return { config: { ...config, origins }, entries, findings: placed };
}

/** The configuration with nothing in it but what counts. */
export function printConfig({ entries }: ParsedConfig): string {
  return entries.map(({ name, value }) => `${name} ${quoteValue(value)}\n`).join('');
}
