import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import type { Assignment, Assignments } from './assignments.ts';
import { configOfVariables, type ImageOptions, noImageOptions } from './debian.ts';
import { directives } from './directives.ts';
import type { EffectiveSettings } from './effective.ts';
import { readSettingFiles } from './files.ts';
import { describeFinding, type Finding, isError } from './finding.ts';
import { loadWish } from './kexec-args.ts';
import { parseConfig } from './parse.ts';
import type { KdumpConfig, Origin, ParsedConfig } from './parsed.ts';
import {
  alwaysRemoved,
  commandLineDefaults,
  packagedValues,
  type VariableFile,
  variableFiles,
  variables,
} from './variables.ts';
import { splitWords } from './words.ts';

export type ReadSettings = {
  readonly settings: EffectiveSettings;
  readonly config: KdumpConfig;
  /** Variables that count, with where they stand. */
  readonly variables: Readonly<Record<string, { readonly value: string; readonly origin: Origin }>>;
  readonly findings: readonly Finding[];
};

/**
 * Reads all settings below `root`. Of directives, /etc/kdump.conf is the only source where it exists; without it the
 * variables of /etc/default/kdump-tools stand for them. Kernel, image and command line come from the variables of
 * /etc/default/kdump-tools, then of /etc/sysconfig/kdump, then the defaults. Never throws: errors are in the findings,
 * and defaults take their place.
 */
export function readSettings(root = '/'): ReadSettings {
  const files = readSettingFiles(root);
  const ofDefault = counting('default', files.default);
  const ofSysconfig = counting('sysconfig', files.sysconfig);
  const debian = files.conf === undefined ? configOfVariables(ofDefault) : undefined;
  const parsed: ParsedConfig = files.conf ?? debian?.parsed ?? parseConfig('');
  const findings: Finding[] = [...files.findings, ...(debian?.parsed.findings ?? [])];
  const config = settleSshKey(parsed.config, root, findings);
  const given = Object.fromEntries([
    ...named(ofSysconfig, variableFiles.sysconfig),
    ...named(ofDefault, variableFiles.default),
  ]);
  const settings = settle(config, debian?.image ?? noImageOptions, ofDefault, ofSysconfig, findings);
  return { settings, config, variables: given, findings };
}

/**
 * The settings of the machine below `root`, when nothing is wrong with them.
 * @throws KdumpError `config-invalid` that names every error, each with its line
 */
export function effectiveSettings(root = '/'): EffectiveSettings {
  const { settings, findings } = readSettings(root);
  throwForErrors(findings);
  return settings;
}

/** @throws KdumpError `config-invalid` when there is an error among the findings */
export function throwForErrors(
  findings: readonly Finding[],
  fix = 'kdumpctl config check lists all of it.',
): void {
  const errors = findings.filter(isError);
  if (errors.length === 0) return;
  throw new KdumpError('config-invalid', errors.map(describeFinding).join('\n'), {
    fix,
    facts: { errors: errors.length, file: errors[0]!.file, line: errors[0]!.line },
  });
}

/** Variables that are known in this file and of use, with a value that somebody chose. */
function counting(kind: VariableFile, read: Assignments | undefined): ReadonlyMap<string, Assignment> {
  const counts = ({ name, value }: Assignment): boolean => {
    const known = Object.hasOwn(variables, name) ? variables[name] : undefined;
    return known?.in.includes(kind) === true && !known.unused && packagedValues[name] !== value;
  };
  return new Map([...(read?.variables ?? [])].filter(([, assignment]) => counts(assignment)));
}

const named = (variables: ReadonlyMap<string, Assignment>, file: string) =>
  [...variables.values()].map(({ name, value, line }) => {
    const origin: Origin = { from: 'file', file, line, variable: name };
    return [name, { value, origin }] as const;
  });

/** A key that does not exist gives way to the default, as in the original. */
function settleSshKey(config: KdumpConfig, root: string, findings: Finding[]): KdumpConfig {
  const origin = config.origins.sshkey;
  const { sshkey } = config.settings;
  if (origin.from === 'default' || existsSync(join(root, sshkey))) return config;
  const message = `'${sshkey}' doesn't exist, using default value '${directives.sshkey.default}'.`;
  const { file, line } = origin;
  findings.push({ severity: 'warning', code: 'ssh-key-missing', file, line, column: 0, message });
  return { ...config, settings: { ...config.settings, sshkey: directives.sshkey.default } };
}

/** What a Debian capture is started with: a unit that our images do not have. */
const debianUnit = 'systemd.unit=kdump-tools-dump.service';
const highestLogLevel = 4;

function settle(
  { target, settings }: KdumpConfig,
  image: ImageOptions,
  ofDefault: ReadonlyMap<string, Assignment>,
  ofSysconfig: ReadonlyMap<string, Assignment>,
  findings: Finding[],
): EffectiveSettings {
  const warn = (file: string, line: number, message: string): void => {
    findings.push({ severity: 'warning', code: 'odd-value', file, line, column: 0, message });
  };
  const given = (variables: ReadonlyMap<string, Assignment>, name: string): string | null =>
    variables.get(name)?.value.trim() || null;
  const onDebian = (name: string) => given(ofDefault, name);
  const onRedHat = (name: string) => given(ofSysconfig, name);
  const level = (name: string, standard: number): number => {
    const text = onRedHat(name);
    if (text === null) return standard;
    const value = Number(text);
    if (Number.isInteger(value) && value >= 0 && value <= highestLogLevel) return value;
    const { line } = ofSysconfig.get(name)!;
    warn(
      variableFiles.sysconfig,
      line,
      `${name}="${text}" is not a number from 0 to 4, ${standard} is used.`,
    );
    return standard;
  };
  const hostTag = onDebian('HOSTTAG');
  if (hostTag !== null && hostTag !== 'ip' && hostTag !== 'hostname')
    warn(
      variableFiles.default,
      ofDefault.get('HOSTTAG')!.line,
      `HOSTTAG="${hostTag}" is neither ip nor hostname.`,
    );
  // An empty value is a value here: nothing is removed, nothing is added.
  const append = ofDefault.get('KDUMP_CMDLINE_APPEND') ??
    ofSysconfig.get('KDUMP_COMMANDLINE_APPEND') ?? { value: commandLineDefaults.append };
  const kept = splitWords(append.value).filter((word) => word !== debianUnit);
  if (append.value.includes(debianUnit))
    warn(
      variableFiles.default,
      ofDefault.get('KDUMP_CMDLINE_APPEND')?.line ?? 0,
      `${debianUnit} is left out of KDUMP_CMDLINE_APPEND: the capture image has no such unit.`,
    );
  return {
    enabled: onDebian('USE_KDUMP') !== '0',
    targets: [target ?? { kind: 'directory', path: settings.path }, ...settings.fallback_target],
    path: settings.path,
    sshKey: settings.sshkey,
    collector: settings.core_collector,
    hostTag: hostTag === 'ip' || hostTag === 'hostname' ? hostTag : null,
    hooks: { pre: settings.kdump_pre, post: settings.kdump_post, emergency: settings.kdump_emergency },
    extraBins: settings.extra_bins,
    extraModules: settings.extra_modules,
    failureAction: settings.failure_action,
    finalAction: settings.final_action,
    fence: { nodes: settings.fence_kdump_nodes, args: settings.fence_kdump_args },
    builder: settings.image_builder,
    dracutArgs: settings.dracut_args,
    rebuild: settings.force_rebuild ? 'always' : settings.force_no_rebuild ? 'never' : 'when-changed',
    autoResetCrashkernel: settings.auto_reset_crashkernel,
    kernel: {
      path: onDebian('KDUMP_KERNEL'),
      release: onRedHat('KDUMP_KERNELVER'),
      bootDirectory: onRedHat('KDUMP_BOOTDIR'),
      imageName: onRedHat('KDUMP_IMG') ?? 'vmlinuz',
      imageExtension: onRedHat('KDUMP_IMG_EXT') ?? '',
    },
    image: { ...image, path: onDebian('KDUMP_IMAGE') },
    commandLine: {
      whole: onDebian('KDUMP_COMMANDLINE'),
      base: onDebian('KDUMP_CMDLINE') ?? onRedHat('KDUMP_COMMANDLINE'),
      remove: [
        ...splitWords(ofSysconfig.get('KDUMP_COMMANDLINE_REMOVE')?.value ?? commandLineDefaults.remove),
        ...alwaysRemoved,
      ],
      append: kept.length < splitWords(append.value).length ? kept.join(' ') : append.value.trim(),
    },
    kexecArgs: readKexecArgs(ofDefault.get('KDUMP_KEXEC_ARGS'), ofSysconfig.get('KEXEC_ARGS'), findings),
    report: settings.report,
    retention: {
      count: settings.retain_count || null,
      bytes: settings.retain_bytes || null,
      freePercent: settings.retain_free || null,
      ageSeconds: settings.retain_age || null,
    },
    limits: {
      minFree: settings.min_free,
      captureSeconds: settings.capture_deadline || null,
      stallSeconds: settings.stall_timeout || null,
    },
    notifications: settings.notify,
    testNotification: onRedHat('VMCORE_CREATION_NOTIFICATION') !== 'no',
    logLevels: {
      std: level('KDUMP_STDLOGLVL', 3),
      syslog: level('KDUMP_SYSLOGLVL', 0),
      kmsg: level('KDUMP_KMSGLOGLVL', 0),
    },
  };
}

/** Options for kexec: those of Debian's file when it has any. Wrong ones are found now, and left out. */
function readKexecArgs(
  debian: Assignment | undefined,
  sysconfig: Assignment | undefined,
  findings: Finding[],
): readonly string[] {
  const isDebian = debian !== undefined && debian.value.trim() !== '';
  const given = isDebian ? debian : sysconfig;
  if (given === undefined) return [];
  const args = splitWords(given.value);
  try {
    loadWish(args, '');
    return args;
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    findings.push({
      severity: 'error',
      code: 'invalid-value',
      file: isDebian ? variableFiles.default : variableFiles.sysconfig,
      line: given.line,
      column: 0,
      message: `${given.name}: ${error.message.replace(/^KEXEC_ARGS: /, '')}`,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
    });
    return [];
  }
}
