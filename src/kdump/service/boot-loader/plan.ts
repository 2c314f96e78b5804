import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { KdumpError } from '../../../lib/errors.ts';
import { readCommandLine, readText } from '../../../system/proc.ts';
import {
  editBootEntries,
  entryDirectories,
  grubEnvironments,
  type KernelWish,
  kernelCommandLine,
} from './boot-entries.ts';
import { type FileEdit, hasCrashkernel } from './edits.ts';
import { editGrubDefaults, grubDefaults, grubDirectory, type SettingsFile } from './grub-defaults.ts';

/** What there is on a machine that looks after kernel parameters. */
export type BootLoaderFacts = {
  readonly running: string;
  /** Programs that are installed, of those that are asked for. */
  readonly programs: readonly Program[];
  readonly ostree: boolean;
  readonly entries: readonly SettingsFile[];
  readonly environment: SettingsFile | null;
  readonly template: SettingsFile | null;
  readonly grub: readonly SettingsFile[];
  readonly hasGrubDirectory: boolean;
  /** The configuration that GRUB reads, where it is known. */
  readonly grubConfig: string | null;
};

export const programs = ['rpm-ostree', 'grubby', 'update-grub', 'grub2-mkconfig', 'grub-mkconfig'] as const;
export type Program = (typeof programs)[number];

/** How crashkernel= is to be changed: files as a whole, then programs that make use of them. */
export type BootLoaderPlan = {
  readonly by: 'rpm-ostree' | 'grubby' | 'boot entries' | 'GRUB';
  readonly edits: readonly FileEdit[];
  readonly commands: readonly (readonly [Program, ...string[]])[];
  /** All kernels are changed, though one was named. */
  readonly affectsAll: boolean;
};

/**
 * Reads what looks after kernel parameters below `root`.
 * @param isInstalled whether there is a program of this name
 */
export function readBootLoader(root: string, isInstalled: (program: string) => boolean): BootLoaderFacts {
  const directory = entryDirectories.find((path) => filesIn(root, path, '.conf').length > 0);
  const own = readFile(root, grubDefaults);
  const grubConfigs = ['/boot/grub2/grub.cfg', '/boot/grub/grub.cfg'];
  return {
    running: readCommandLine(root) ?? '',
    programs: programs.filter(isInstalled),
    ostree: existsSync(join(root, 'run/ostree-booted')),
    entries: directory === undefined ? [] : filesIn(root, directory, '.conf'),
    environment: grubEnvironments.map((path) => readFile(root, path)).find((file) => file !== null) ?? null,
    template: readFile(root, kernelCommandLine),
    grub: [...(own === null ? [] : [own]), ...filesIn(root, grubDirectory, '.cfg')],
    hasGrubDirectory: existsSync(join(root, grubDirectory)),
    grubConfig: grubConfigs.find((path) => existsSync(join(root, path))) ?? null,
  };
}

function readFile(root: string, path: string): SettingsFile | null {
  const text = readText(root, path);
  return text === null ? null : { path, text };
}

function filesIn(root: string, directory: string, ending: string): SettingsFile[] {
  let names: string[];
  try {
    names = readdirSync(join(root, directory));
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => readFile(root, join(directory, name)))
    .filter((file) => file !== null);
}

/**
 * Decides how crashkernel= becomes `value`. Pure.
 * @throws KdumpError `boot-loader` when nothing is known to look after kernel parameters here
 */
export function planCrashkernel(value: string, kernel: KernelWish, facts: BootLoaderFacts): BootLoaderPlan {
  const has = (program: Program): boolean => facts.programs.includes(program);
  if (facts.ostree && has('rpm-ostree')) {
    const change = hasCrashkernel(facts.running) ? '--replace' : '--append';
    const commands = [['rpm-ostree', 'kargs', `${change}=crashkernel=${value}`]] as const;
    return { by: 'rpm-ostree', edits: [], commands, affectsAll: kernel !== 'ALL' };
  }
  if (has('grubby')) {
    const which = kernel === 'ALL' ? 'ALL' : kernel.path;
    const commands = [['grubby', `--update-kernel=${which}`, `--args=crashkernel=${value}`]] as const;
    return { by: 'grubby', edits: [], commands, affectsAll: false };
  }
  if (facts.entries.length > 0) {
    const edits = editBootEntries(facts.entries, facts.environment, facts.template, value, kernel);
    const affectsAll = kernel !== 'ALL' && edits.some(({ path }) => path === facts.environment?.path);
    return { by: 'boot entries', edits, commands: [], affectsAll };
  }
  if (facts.grub.length > 0 || facts.hasGrubDirectory) {
    const edits = editGrubDefaults(facts.grub, value, facts.hasGrubDirectory && has('update-grub'));
    return { by: 'GRUB', edits, commands: [grubCommand(facts)], affectsAll: kernel !== 'ALL' };
  }
  throw new KdumpError(
    'boot-loader',
    `nothing is known to look after kernel parameters here: no grubby, no boot entries, no ${grubDefaults}`,
    { fix: `Add crashkernel=${value} to the kernel command line in the boot loader's settings.` },
  );
}

/** @throws KdumpError `boot-loader` */
export function grubCommand({
  programs: installed,
  grubConfig,
}: BootLoaderFacts): readonly [Program, ...string[]] {
  if (installed.includes('update-grub')) return ['update-grub'];
  const program = (['grub2-mkconfig', 'grub-mkconfig'] as const).find((name) => installed.includes(name));
  if (program === undefined || grubConfig === null)
    throw new KdumpError(
      'boot-loader',
      `${basename(grubDefaults)} is set up, but neither update-grub nor grub-mkconfig is installed`,
    );
  return [program, '-o', grubConfig];
}
