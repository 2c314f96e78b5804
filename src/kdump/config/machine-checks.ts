import { readdirSync, type Stats, statSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import type { DirectiveName } from './directives.ts';
import type { Finding } from './finding.ts';
import type { KdumpConfig } from './parsed.ts';

/** Executables in these run as hooks, too, in the order of their names. */
export const hookDirectories = {
  kdump_pre: '/etc/kdump/pre.d',
  kdump_post: '/etc/kdump/post.d',
  kdump_emergency: '/etc/kdump/emergency.d',
} as const;
type Hook = keyof typeof hookDirectories;
const hooks = Object.keys(hookDirectories) as Hook[];

/** How this machine is called by others. */
export const ownNames = (): readonly string[] => [
  hostname(),
  ...Object.values(networkInterfaces()).flatMap(
    (addresses) => addresses?.map(({ address }) => address) ?? [],
  ),
];

/**
 * What the configuration names is looked for below `root`: programs are there, executable, and nobody but their owner
 * root can change what the capture kernel will run.
 * @param names those of this machine
 * @param owner who must own hooks; root, but where a test runs as someone else
 */
export function checkMachine(
  { settings, origins }: KdumpConfig,
  root: string,
  names: readonly string[] = ownNames(),
  owner = 0,
): Finding[] {
  const findings: Finding[] = [];
  const wrong = (name: DirectiveName, code: string, message: string, fix: string): undefined => {
    const origin = origins[name];
    const place = origin.from === 'file' ? origin : { file: hookDirectories[name as Hook], line: 0 };
    findings.push({ severity: 'error', code, file: place.file, line: place.line, column: 0, message, fix });
  };
  const check = (name: DirectiveName, path: string): undefined => {
    const stats = statSync(join(root, path), { throwIfNoEntry: false });
    if (stats === undefined)
      return wrong(name, 'file-missing', `Error: ${path} not found.`, `${name} names it.`);
    if (!stats.isFile() || !isExecutable(stats))
      return wrong(name, 'not-executable', `Error: ${path} is not executable.`, `chmod 755 ${path}`);
    if (name === 'extra_bins') return;
    const open = [path, dirname(path)].find((at) => !isSafe(statSync(join(root, at)), owner));
    if (open !== undefined)
      wrong(
        name,
        'unsafe-hook',
        `Error: ${path} would run as root, but others than root can change ${open}.`,
        `chown root: ${open}; chmod go-w ${open}`,
      );
  };
  for (const name of hooks) {
    const path = settings[name];
    if (path !== null) check(name, path);
    for (const file of executablesIn(root, hookDirectories[name])) check(name, file);
  }
  for (const path of settings.extra_bins) check('extra_bins', path);
  for (const { how, to } of settings.notify) if (how === 'exec') check('notify', to);
  for (const node of settings.fence_kdump_nodes)
    if (names.includes(node))
      wrong(
        'fence_kdump_nodes',
        'own-node',
        `Option fence_kdump_nodes cannot contain ${node}`,
        'It is this machine itself.',
      );
  return findings;
}

/** The hooks in a directory, by path and in order; those that are not executable are switched off that way. */
export function executablesIn(root: string, directory: string): string[] {
  let found: string[];
  try {
    found = readdirSync(join(root, directory));
  } catch {
    return [];
  }
  return found
    .sort()
    .map((name) => join(directory, name))
    .filter((path) => {
      const stats = statSync(join(root, path), { throwIfNoEntry: false });
      return stats?.isFile() === true && isExecutable(stats);
    });
}

const isExecutable = ({ mode }: Stats): boolean => (mode & 0o111) !== 0;
const isSafe = ({ mode, uid }: Stats, owner: number): boolean => uid === owner && (mode & 0o022) === 0;
