import { statSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { readBytes, readCommandLine, readKernelRelease, readText } from '../../system/proc.ts';
import type { KernelChoice } from '../config/effective.ts';

/** What the machine has to say about where its kernel lies. */
export type KernelFacts = {
  readonly running: string | null;
  readonly commandLine: string | null;
  readonly machineId: string | null;
  /** File of the unified kernel image that was booted, seen from its partition; null when there was none. */
  readonly bootedUki: string | null;
};

/** Set by systemd-stub (Boot Loader Interface): what was booted, seen from the EFI system partition. */
const stubVariable = 'sys/firmware/efi/efivars/StubImageIdentifier-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';

/** Reads it below `root`. */
export function readKernelFacts(root: string): KernelFacts {
  const stub = readBytes(root, stubVariable);
  return {
    running: readKernelRelease(root),
    commandLine: readCommandLine(root),
    machineId: readText(root, 'etc/machine-id')?.trim() || null,
    // Four bytes of attributes, then UTF-16 with a backslash between names.
    bootedUki:
      stub === null
        ? null
        : Buffer.from(stub.subarray(4)).toString('utf16le').replace(/\0.*$/s, '').replaceAll('\\', '/'),
  };
}

/** A kernel that may take over: places in which it may lie, the best first. */
export type KernelCandidates = { readonly release: string; readonly paths: readonly string[] };

/**
 * The releases to look for, and where. A debugging kernel would not fit into the reserved memory: its plain twin is
 * preferred. A unified kernel image comes last, since its kernel carries no signature of its own.
 * @throws KdumpError `no-kernel` when the running kernel does not tell its release
 */
export function kernelCandidates(choice: KernelChoice, facts: KernelFacts): KernelCandidates[] {
  const release = choice.release ?? facts.running;
  if (release === null)
    throw new KdumpError('no-kernel', '/proc does not tell the release of the running kernel');
  const twin = release.replace(/(\+|-)debug$/, '');
  const releases = choice.release === null && twin !== release ? [twin, release] : [release];
  return releases.map((name) => ({ release: name, paths: placesOf(name, choice, facts) }));
}

const directoriesOf = ({ bootDirectory }: KernelChoice): string[] =>
  bootDirectory === null ? ['/boot', '/boot/efi', '/efi', '/'] : [bootDirectory];

function placesOf(release: string, choice: KernelChoice, facts: KernelFacts): string[] {
  const { imageName, imageExtension } = choice;
  const named = `${imageName}-${release}${imageExtension}`;
  const booted = /(?:^|\s)BOOT_IMAGE=(?:\([^)]*\))?(\S+)/.exec(facts.commandLine ?? '')?.[1];
  const names = [
    ...(booted?.endsWith(release) ? [booted] : []),
    named,
    ...(facts.machineId === null ? [] : [join(facts.machineId, release, imageName)]),
  ];
  const ukis = [
    ...(facts.bootedUki !== null && release === facts.running ? [facts.bootedUki] : []),
    ...(facts.machineId === null ? [] : [`EFI/Linux/${facts.machineId}-${release}.efi`]),
  ];
  const directories = directoriesOf(choice);
  const inDirectories = (files: readonly string[]): string[] =>
    directories.flatMap((directory) => files.map((name) => join(directory, name)));
  return [
    ...inDirectories(names),
    ...(imageName === 'vmlinuz' ? [`/usr/lib/modules/${release}/vmlinuz`] : []),
    ...inDirectories(ukis),
  ];
}

export type KernelFile = { readonly path: string; readonly release: string };

/**
 * The file of the kernel that is to take over, below `root`.
 * @throws KdumpError `no-kernel`; its fact `places` names every file looked for
 */
export function findKernel(choice: KernelChoice, root: string): KernelFile {
  const isFile = (path: string): boolean =>
    statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true;
  const facts = readKernelFacts(root);
  if (choice.path !== null) {
    const release = choice.release ?? facts.running;
    if (!isFile(choice.path) || release === null)
      throw new KdumpError('no-kernel', `${choice.path} is not there`, {
        fix: 'KDUMP_KERNEL in /etc/default/kdump-tools names it.',
      });
    return { path: choice.path, release: releaseInName(choice.path) ?? release };
  }
  const candidates = kernelCandidates(choice, facts);
  for (const { release, paths } of candidates) {
    const path = paths.find(isFile);
    if (path !== undefined) return { path, release };
  }
  const places = [...new Set(candidates.flatMap(({ paths }) => paths))];
  const { release } = candidates[0]!;
  throw new KdumpError(
    'no-kernel',
    `no kernel of release ${release} was found in ${directoriesOf(choice).join(', ')} or /usr/lib/modules/${release}`,
    {
      fix: 'Name it: KDUMP_KERNEL in /etc/default/kdump-tools, or KDUMP_BOOTDIR and KDUMP_IMG in /etc/sysconfig/kdump.',
      facts: { release, places: places.join(' ') },
    },
  );
}

/** vmlinuz-6.1.0-9-amd64: the file tells whose modules belong to it. */
const releaseInName = (path: string): string | null => /-(\d+\.\d+[^/]*)$/.exec(path)?.[1] ?? null;
