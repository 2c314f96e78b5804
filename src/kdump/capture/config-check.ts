import { isAbsolute } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { failureActions, finalActions } from './actions.ts';
import { expectedCollector } from './collector-words.ts';
import type { CaptureConfig, CaptureTarget } from './config.ts';
import { captureConfigPath } from './paths.ts';

/**
 * Reads and checks the settings of a capture.
 * @throws KdumpError `capture-config` naming the file, the setting, and what was found.
 */
export function parseCaptureConfig(text: string, name: string = captureConfigPath): CaptureConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new KdumpError('capture-config', `${name}: not JSON: ${(cause as Error).message}`, { cause });
  }
  checkCaptureConfig(value as CaptureConfig, name);
  return value as CaptureConfig;
}

type Holds = (value: unknown) => boolean;
/** Of each setting what it has to be, in words and as a test. */
type Rules = Readonly<Record<string, readonly [expected: string, holds: Holds]>>;

const isObject: Holds = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0');
const isPath = (value: unknown): value is string =>
  isText(value) && isAbsolute(value) && !value.split('/').includes('..');
const listOf =
  (holds: Holds): Holds =>
  (value) =>
    Array.isArray(value) && value.every(holds);
const like =
  (pattern: RegExp): Holds =>
  (value) =>
    isText(value) && pattern.test(value);
const oneOf =
  (words: readonly string[]): Holds =>
  (value) =>
    words.includes(value as string);
const orNull =
  (holds: Holds): Holds =>
  (value) =>
    value === null || holds(value);
const orAbsent =
  (holds: Holds): Holds =>
  (value) =>
    value === undefined || holds(value);
const secondsUpTo =
  (most: number): Holds =>
  (value) =>
    typeof value === 'number' && value > 0 && value <= most;

const week = 604_800;
const absolutePath = ['an absolute path', isPath] as const;
const device = like(/^(\/dev\/.|(UUID|LABEL|PARTUUID|PARTLABEL)=.)/);
const text = ['text', isText] as const;
const aName = 'a name without slashes';

const rules: Rules = {
  targets: ['a list of targets', (value) => Array.isArray(value) && value.length > 0],
  path: absolutePath,
  host: [aName, like(/^[^/.\s][^/\s]*$/)],
  coreCollector: ['a list of words', listOf(isText)],
  deviceTimeout: ['seconds, above 0 and up to 3600', secondsUpTo(3600)],
  hooks: ['an object', isObject],
  failureAction: [failureActions.join(', '), oneOf(failureActions)],
  finalAction: [finalActions.join(', '), oneOf(finalActions)],
  rootfs: ['a target or null', orNull(isObject)],
  report: ['true or false', (value) => typeof value === 'boolean'],
  home: ['a target or null', orNull(isObject)],
  minFree: ['bytes or per cent, or null', orNull(isObject)],
  captureSeconds: ['seconds or null', orNull(secondsUpTo(week))],
  stallSeconds: ['seconds or null', orNull(secondsUpTo(week))],
  retention: ['an object', isObject],
  notifications: ['a list', listOf(isObject)],
  network: ['a plan or null', orNull(isObject)],
  ssh: ['a key and known hosts, or null', orNull(isObject)],
  fence: ['an object or null', orNull(isObject)],
};

const hookRules: Rules = Object.fromEntries(
  ['pre', 'post', 'emergency'].map((when) => [when, ['a list of absolute paths', listOf(isPath)]]),
);

const fenceRules: Rules = {
  program: absolutePath,
  args: ['a list of words', listOf(isText)],
  nodes: ['a list of words', listOf(isText)],
};

const targetRules: Readonly<Record<CaptureTarget['kind'], Rules>> = {
  filesystem: {
    device: ['/dev/…, UUID=… or LABEL=…', device],
    fstype: ['the name of a file system', like(/^[a-z0-9_.-]+$/)],
    mountOptions: text,
  },
  // The shell that runs beside the capture looks for it in /proc/mounts, where other characters are escaped.
  mounted: {
    mountPoint: [
      'an absolute path of plain characters',
      (value) => isPath(value) && /^(\/[\w.:+-]+)+$/.test(value),
    ],
  },
  raw: { device: ['/dev/… or PARTUUID=…', device] },
  nfs: {
    server: ['a host', like(/^(\[[\w:.%]+\]|[\w.-]+)$/)],
    export: absolutePath,
    mountOptions: text,
  },
  // A name that begins with a dash would be an option of ssh.
  ssh: {
    user: ['the name of an account', like(/^[A-Za-z0-9_][\w.@\\+-]*$/)],
    host: ['a host', like(/^[A-Za-z0-9_:][\w.:%-]*$/)],
  },
  virtiofs: { tag: ['a tag', like(/^[^\s/-]\S*$/)] },
};

/** Goes to the shell of another machine: nothing in it needs a quote. */
const plainPath: Rules = {
  path: ['an absolute path of plain characters', (value) => isPath(value) && /^[\w./:+@,=-]+$/.test(value)],
};
const plainHost: Rules = { host: ['a name of plain characters', like(/^[\w.:%+-]+$/)] };
const sshRules: Rules = { key: absolutePath, knownHosts: absolutePath };

/** The checks of parseCaptureConfig, for settings that are about to be written into an image. */
export function checkCaptureConfig(config: CaptureConfig, name: string): void {
  const check = (rules: Rules, of: object, prefix = ''): void => {
    for (const [setting, [expected, holds]] of Object.entries(rules)) {
      const found = (of as Readonly<Record<string, unknown>>)[setting];
      if (!holds(found)) throw wrong(name, `${prefix}${setting}`, expected, found);
    }
  };
  if (!isObject(config)) throw wrong(name, 'the whole', 'an object', config);
  check(rules, config);
  check(hookRules, config.hooks, 'hooks.');
  if (config.fence !== null) check(fenceRules, config.fence, 'fence.');
  if (config.ssh !== null) check(sshRules, config.ssh, 'ssh.');
  const checkTarget = (target: CaptureTarget, at: string): void => {
    if (!isObject(target)) throw wrong(name, at, 'an object', target);
    const rules = targetRules[target.kind];
    if (rules === undefined)
      throw wrong(name, `${at}.kind`, Object.keys(targetRules).join(', '), target.kind);
    check({ ...rules, path: ['an absolute path', orAbsent(isPath)] }, target, `${at}.`);
    if (target.kind !== 'ssh') return;
    check({ ssh: ['a key and known hosts', isObject] }, config);
    check(plainPath, { path: target.path ?? config.path }, `${at}.`);
    check(plainHost, config);
  };
  for (const [i, target] of config.targets.entries()) checkTarget(target, `targets[${i}]`);
  if (config.rootfs !== null) checkTarget(config.rootfs, 'rootfs');
  if (config.home !== null) checkTarget(config.home, 'home');
  checkCollector(config, name);
}

function checkCollector({ coreCollector, targets }: CaptureConfig, name: string): void {
  const kinds = targets.map(({ kind }) => kind);
  const expected = expectedCollector(coreCollector, kinds);
  if (expected !== undefined) throw wrong(name, 'coreCollector', expected, coreCollector.join(' '));
}

function wrong(name: string, setting: string, expected: string, found: unknown): KdumpError {
  return new KdumpError(
    'capture-config',
    `${name}: ${setting} is ${JSON.stringify(found) ?? 'missing'}, expected ${expected}`,
    { facts: { setting } },
  );
}
