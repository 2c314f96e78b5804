import { basename, join } from 'node:path';
import { KdumpError } from '../../../lib/errors.ts';
import { type FileEdit, hasCrashkernel, replaceCrashkernel } from './edits.ts';
import type { SettingsFile } from './grub-defaults.ts';

/** Boot Loader Specification: a file for each entry of the menu. */
export const entryDirectories = ['/boot/loader/entries', '/boot/efi/loader/entries', '/efi/loader/entries'];
/** GRUB's block of variables, which entries of older Red Hat systems get their options from. */
export const grubEnvironments = ['/boot/grub2/grubenv', '/boot/grub/grubenv'];
/** What new entries are made from. */
export const kernelCommandLine = '/etc/kernel/cmdline';

/** Which kernels are meant: all of them, or one, by its file. */
export type KernelWish = 'ALL' | { readonly path: string };

/** Sets crashkernel= in the entries of the kernels that are meant, and in the variable that they refer to. */
export function editBootEntries(
  entries: readonly SettingsFile[],
  environment: SettingsFile | null,
  template: SettingsFile | null,
  value: string,
  kernel: KernelWish,
): FileEdit[] {
  const meant = entries.filter(({ text }) => kernel === 'ALL' || isFor(text, kernel.path));
  const edits: FileEdit[] = [];
  for (const { path, text } of meant) edits.push({ path, before: text, after: withOptions(text, value) });
  const refers = meant.some(({ text }) => !hasCrashkernel(text) && usesVariable(text));
  if (refers && environment !== null)
    edits.push({
      path: environment.path,
      before: environment.text,
      after: withKernelOptions(environment, value),
    });
  if (kernel === 'ALL' && template !== null)
    edits.push({ path: template.path, before: template.text, after: withWord(template.text, value) });
  return edits.filter(({ before, after }) => before !== after);
}

/** Whether an entry gets its options from GRUB's variables. */
export const usesVariable = (text: string): boolean =>
  /^options\s.*\$(kernelopts|\{kernelopts\})/m.test(text);

const linuxOf = (text: string): string | undefined => /^(?:linux|uki|efi)\s+(\S+)/m.exec(text)?.[1];

function isFor(text: string, kernel: string): boolean {
  const linux = linuxOf(text);
  return linux !== undefined && basename(linux) === basename(kernel);
}

/** The file of an entry's kernel on this machine; the entry may name it as it is seen from its partition. */
export function kernelFileOf(text: string): string | undefined {
  const linux = linuxOf(text);
  return linux === undefined || linux.startsWith('/boot/') ? linux : join('/boot', linux);
}

function withOptions(text: string, value: string): string {
  const lines = text.split('\n');
  const isOptions = (line: string): boolean => /^options(\s|$)/.test(line);
  if (lines.some((line) => isOptions(line) && hasCrashkernel(line)))
    return lines
      .map((line) => (isOptions(line) ? (replaceCrashkernel(line, value) ?? line) : line))
      .join('\n');
  if (usesVariable(text)) return text;
  const last = lines.findLastIndex(isOptions);
  if (last >= 0) lines[last] = `${lines[last]!.trimEnd()} crashkernel=${value}`;
  else lines.splice(lines.at(-1) === '' ? -1 : lines.length, 0, `options crashkernel=${value}`);
  return lines.join('\n');
}

function withWord(text: string, value: string): string {
  return replaceCrashkernel(text, value) ?? `${text.trimEnd()} crashkernel=${value}\n`;
}

/** GRUB writes this file where it lies on the disk: it always has this size, filled up with `#`. */
const environmentBytes = 1024;
/** The variable of it that entries refer to. */
export const grubVariable = 'kernelopts=';

/** @throws KdumpError `boot-loader` when it would not fit */
function withKernelOptions(file: SettingsFile, value: string): string {
  const { path, text } = file;
  const lines = text.replace(/#*$/, '').split('\n');
  const at = lines.findIndex((line) => line.startsWith(grubVariable));
  if (at < 0)
    throw new KdumpError('boot-loader', `${path}: has no kernelopts, which boot entries refer to`, {
      fix: 'grub2-mkconfig writes it.',
    });
  lines[at] = replaceCrashkernel(lines[at]!, value) ?? `${lines[at]!.trimEnd()} crashkernel=${value}`;
  return withEnvironmentText(file, lines.join('\n'));
}

/** The file with another text, filled up. @throws KdumpError `boot-loader` when it would not fit */
export function withEnvironmentText({ path }: SettingsFile, changed: string): string {
  const bytes = Buffer.byteLength(changed);
  if (bytes > environmentBytes)
    throw new KdumpError(
      'boot-loader',
      `${path}: kernelopts would no longer fit into its ${environmentBytes} bytes`,
    );
  return changed + '#'.repeat(environmentBytes - bytes);
}
