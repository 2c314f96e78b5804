import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { type Assignments, parseAssignments } from './assignments.ts';
import type { Finding } from './finding.ts';
import { configFile, largestConfig, parseConfig } from './parse.ts';
import type { ParsedConfig } from './parsed.ts';
import { packagedValues, type VariableFile, variableFiles, variables } from './variables.ts';

/** What the files of settings say; a file that does not exist says nothing. */
export type SettingFiles = {
  readonly conf: ParsedConfig | undefined;
  readonly sysconfig: Assignments | undefined;
  readonly default: Assignments | undefined;
  /** Everything that is worth knowing about them, one after the other. */
  readonly findings: readonly Finding[];
};

/** Reads all files of settings below `root`. Never throws: a file that cannot be read is an error in the findings. */
export function readSettingFiles(root: string): SettingFiles {
  const findings: Finding[] = [];
  const read = <T extends { readonly findings: readonly Finding[] }>(
    file: string,
    parse: (text: string, file: string) => T,
  ): T | undefined => {
    try {
      const text = readBounded(join(root, file));
      if (text === undefined) return undefined;
      const parsed = parse(text, file);
      findings.push(...parsed.findings);
      return parsed;
    } catch (error) {
      // A path below another root is of no use to the reader.
      const message = `cannot be read: ${(error as Error).message.replace(join(root, file), file)}`;
      findings.push({ severity: 'error', code: 'config-unreadable', file, line: 0, column: 0, message });
      return undefined;
    }
  };
  const conf = read(configFile, parseConfig);
  const sysconfig = read(variableFiles.sysconfig, parseAssignments);
  const defaults = read(variableFiles.default, parseAssignments);
  findings.push(
    ...unfit(sysconfig, 'sysconfig', conf !== undefined),
    ...unfit(defaults, 'default', conf !== undefined),
  );
  return { conf, sysconfig, default: defaults, findings };
}

/**
 * The text of a file; undefined when there is none.
 * @throws KdumpError `not-a-config` for what is far too large, or is no file
 */
export function readBounded(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isFile()) throw new KdumpError('not-a-config', `${path} is not a file`);
  if (stats.size > largestConfig)
    throw new KdumpError('not-a-config', `${path} has ${stats.size} bytes, too many for a configuration`);
  return decode(readFileSync(path)).text;
}

/** The text of a file's bytes, and how to make the same bytes of it again: those that are not UTF-8 are kept one by one. */
export function decode(bytes: Buffer): { text: string; encoding: BufferEncoding } {
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes)
    ? { text, encoding: 'utf8' }
    : { text: bytes.toString('latin1'), encoding: 'latin1' };
}

/** Variables that have no effect, and why. */
function unfit(assignments: Assignments | undefined, kind: VariableFile, hasConf: boolean): Finding[] {
  const findings: Finding[] = [];
  for (const { name, value, line } of assignments?.variables.values() ?? []) {
    const known = Object.hasOwn(variables, name) ? variables[name] : undefined;
    const message = !known?.in.includes(kind)
      ? `${name} is not known here, and has no effect.`
      : value === '' || isPackaged(name, value)
        ? undefined
        : known.unused !== undefined
          ? `${name} has no effect: ${known.unused}.`
          : known.insteadOfConf && hasConf
            ? `${name} has no effect, because ${configFile} is there.`
            : undefined;
    const code = known === undefined ? 'unknown-variable' : 'unused-variable';
    if (message !== undefined)
      findings.push({ severity: 'warning', code, file: variableFiles[kind], line, column: 0, message });
  }
  return findings;
}

const isPackaged = (name: string, value: string): boolean => packagedValues[name] === value;
