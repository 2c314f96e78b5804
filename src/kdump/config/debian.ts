import { KdumpError } from '../../lib/errors.ts';
import { getopt, lastValue, type OptionSpec } from '../../lib/getopt.ts';
import type { Assignment } from './assignments.ts';
import type { Finding } from './finding.ts';
import { configOf, type GivenDirective } from './parse.ts';
import type { ParsedConfig } from './parsed.ts';
import { fileSystems, readDevice, type Target } from './target.ts';
import { variableFiles } from './variables.ts';
import { splitWords } from './words.ts';

/** What /etc/default/kdump-tools says of a capture image beyond what kdump.conf can say. */
export type ImageOptions = {
  /** First part of a dump directory's name. */
  readonly host: string | null;
  /** Modules that reach the target, instead of those that are found. */
  readonly drivers: readonly string[] | null;
  readonly modulesRoot: string | null;
};
export const noImageOptions: ImageOptions = { host: null, drivers: null, modulesRoot: null };

const file = variableFiles.default;
const mkdumprdOptions: readonly OptionSpec[] = [
  'target',
  'fstype',
  'mount-options',
  'path',
  'host',
  'core-collector',
  'final-action',
  'add-drivers',
  'modules-root',
].map((name) => ({ name, takesValue: true }));

/** The configuration that the variables of Debian's file, and our own there, stand for where there is no kdump.conf. */
export function configOfVariables(variables: ReadonlyMap<string, Assignment>): {
  readonly parsed: ParsedConfig;
  readonly image: ImageOptions;
} {
  const findings: Finding[] = [];
  const given: GivenDirective[] = [];
  const textOf = (name: string): string => variables.get(name)?.value.trim() ?? '';
  const find = (severity: Finding['severity'], code: string, variable: string, message: string): void => {
    findings.push({ severity, code, file, line: variables.get(variable)!.line, column: 0, message });
  };
  const give = (name: string, variable: string, value: string): void => {
    if (value !== '') given.push({ name, value, variable, line: variables.get(variable)!.line });
  };

  const options = readImageOptions(variables.get('KDUMP_IMAGE_OPTIONS'), findings);
  const option = (directive: string, name: string): boolean => {
    const value = options[name];
    if (value !== undefined) give(directive, 'KDUMP_IMAGE_OPTIONS', value);
    return value !== undefined;
  };
  if (!option('path', 'path')) give('path', 'KDUMP_COREDIR', textOf('KDUMP_COREDIR'));
  const collector = splitWords(textOf('MAKEDUMP_ARGS')).filter((word) => word !== '-F');
  if (!option('core_collector', 'core-collector') && collector.length > 0)
    give('core_collector', 'MAKEDUMP_ARGS', ['makedumpfile', ...collector].join(' '));
  option('final_action', 'final-action');
  give('ssh', 'SSH', textOf('SSH'));
  give('sshkey', 'SSH_KEY', textOf('SSH_KEY'));
  give(
    textOf('SSH') === '' ? 'nfs' : 'fallback_target',
    'NFS',
    prefixed('nfs ', textOf('SSH'), textOf('NFS')),
  );
  if (textOf('SSH') !== '' && textOf('NFS') !== '')
    find(
      'warning',
      'several-targets',
      'NFS',
      'NFS is tried only when SSH cannot be written; kdump-tools writes to both.',
    );
  if (textOf('KDUMP_NUM_DUMPS') !== '0') give('retain_count', 'KDUMP_NUM_DUMPS', textOf('KDUMP_NUM_DUMPS'));
  const failure = /^(?:\/s?bin\/|\/usr\/s?bin\/)?(reboot|halt|poweroff)( -f)?$/.exec(
    textOf('KDUMP_FAIL_CMD'),
  );
  if (failure !== null) give('failure_action', 'KDUMP_FAIL_CMD', failure[1]!);
  else if (textOf('KDUMP_FAIL_CMD') !== '')
    find(
      'error',
      'invalid-value',
      'KDUMP_FAIL_CMD',
      `KDUMP_FAIL_CMD="${textOf('KDUMP_FAIL_CMD')}" is not "reboot -f", "halt -f" or "poweroff -f", and no other command is run`,
    );

  const parsed = configOf(given, file);
  const target = imageTarget(options, variables.get('KDUMP_IMAGE_OPTIONS'), findings);
  const image: ImageOptions = {
    host: options.host ?? null,
    drivers: options['add-drivers']?.split(/[\s,]+/).filter(Boolean) ?? null,
    modulesRoot: options['modules-root'] ?? null,
  };
  return {
    image,
    parsed: {
      ...parsed,
      config: target === undefined ? parsed.config : withTarget(parsed.config, target, variables),
      findings: [...parsed.findings, ...findings],
    },
  };
}

/** As a value of fallback_target it has a kind before it, as a value of the directive it has none. */
const prefixed = (kind: string, other: string, value: string): string =>
  other === '' || value === '' ? value : kind + value;

function readImageOptions(
  from: Assignment | undefined,
  findings: Finding[],
): Record<string, string | undefined> {
  if (from === undefined) return {};
  try {
    const parsed = getopt(splitWords(from.value), mkdumprdOptions);
    if (parsed.positionals.length > 0)
      throw new KdumpError('usage', `unexpected argument "${parsed.positionals[0]}"`);
    return Object.fromEntries(mkdumprdOptions.map(({ name }) => [name, lastValue(parsed, name)]));
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    const message = `KDUMP_IMAGE_OPTIONS: ${error.message}`;
    findings.push({ severity: 'error', code: 'invalid-value', file, line: from.line, column: 0, message });
    return {};
  }
}

function imageTarget(
  options: Record<string, string | undefined>,
  from: Assignment | undefined,
  findings: Finding[],
): Target | undefined {
  const device = options.target;
  if (device === undefined) return undefined;
  const fstype = options.fstype ?? null;
  const read = readDevice(fstype, device, options['mount-options'] ?? '');
  const odd = fstype !== null && !/^[a-z0-9_.-]+$/.test(fstype);
  if (read.wrong === undefined && !odd) return read.value;
  findings.push({
    severity: 'error',
    code: 'invalid-value',
    file,
    line: from!.line,
    column: 0,
    message: `KDUMP_IMAGE_OPTIONS: ${read.wrong ?? `"${fstype}" is no file system; known are ${fileSystems.join(', ')} and others`}`,
  });
  return undefined;
}

function withTarget(
  config: ParsedConfig['config'],
  target: Target,
  variables: ReadonlyMap<string, Assignment>,
): ParsedConfig['config'] {
  const variable = 'KDUMP_IMAGE_OPTIONS';
  const origin = { from: 'file', file, line: variables.get(variable)!.line, variable } as const;
  return { ...config, target, origins: { ...config.origins, target: origin } };
}
