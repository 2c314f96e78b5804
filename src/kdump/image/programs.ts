import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { findProgram } from '../../system/processes.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { executablesIn, hookDirectories } from '../config/machine-checks.ts';
import { isElf, readShebang } from './interpreter.ts';

/** What runs in the capture kernel by order of the configuration, by its path on this machine. */
export type Hooks = {
  readonly pre: readonly string[];
  readonly post: readonly string[];
  readonly emergency: readonly string[];
};

/** The hooks in the order of the original: the directory comes after kdump_pre, but before kdump_post and kdump_emergency. */
export function collectHooks({ hooks }: Pick<EffectiveSettings, 'hooks'>, root = '/'): Hooks {
  const named = (path: string | null): string[] => (path === null ? [] : [path]);
  return {
    pre: [...named(hooks.pre), ...executablesIn(root, hookDirectories.kdump_pre)],
    post: [...executablesIn(root, hookDirectories.kdump_post), ...named(hooks.post)],
    emergency: [...executablesIn(root, hookDirectories.kdump_emergency), ...named(hooks.emergency)],
  };
}

/**
 * Programs with the interpreters of those that are scripts.
 * @param owner who must own them; root, but where a test runs as someone else
 * @throws KdumpError `file-missing`, `unsafe-program` when others than root can change what will run as root
 */
export function collectPrograms(
  paths: readonly string[],
  owner = 0,
): { readonly programs: readonly string[]; readonly warnings: readonly string[] } {
  const programs = new Set<string>();
  const warnings: string[] = [];
  const add = (path: string): void => {
    if (programs.has(path)) return;
    checkSafe(path, owner);
    programs.add(path);
    const interpreter = isElf(path) ? undefined : interpreterOf(path);
    if (interpreter === undefined) return;
    // The image has a shell of its own.
    if (basename(interpreter) === 'sh') return;
    if (!shells.test(basename(interpreter)))
      warnings.push(
        `${path} is a script for ${interpreter}, of which only the program itself goes into the image, and no library of scripts.`,
      );
    add(interpreter);
  };
  for (const path of paths) add(path);
  return { programs: [...programs], warnings };
}

const shells = /^(ba|da|a|k|mk|z)sh$/;

/** @throws KdumpError `file-missing` */
function interpreterOf(script: string): string | undefined {
  const [program, argument] = readShebang(script) ?? [];
  if (program === undefined || program === '') return undefined;
  if (basename(program) !== 'env') return program;
  const found = argument === undefined ? undefined : findProgram(argument);
  if (found === undefined)
    throw new KdumpError('file-missing', `${script} is a script for ${argument}, which is not installed`, {
      facts: { path: script },
    });
  return found;
}

/** Whoever can change a program, or a directory above it, can have the capture kernel run what he likes. */
function checkSafe(path: string, owner: number): void {
  if (!existsSync(path))
    throw new KdumpError('file-missing', `Error: ${path} not found.`, { facts: { path } });
  const real = realpathSync(path);
  const above: string[] = [];
  for (let at = dirname(real); at !== dirname(at); at = dirname(at)) above.push(at);
  const open = [real, ...above].find((at) => {
    const { uid, mode } = statSync(at);
    // In a directory such as /tmp nobody can replace what is another's.
    const isSticky = at !== real && (mode & 0o1000) !== 0;
    return (uid !== owner && uid !== 0) || ((mode & 0o022) !== 0 && !isSticky);
  });
  if (open !== undefined)
    throw new KdumpError(
      'unsafe-program',
      `${path} would run as root in the capture kernel, but others than root can change ${open}`,
      { fix: `chown root: ${open}; chmod go-w ${open}`, facts: { path, open } },
    );
}
