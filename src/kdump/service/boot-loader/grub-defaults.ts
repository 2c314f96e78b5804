import { type FileEdit, hasCrashkernel, replaceCrashkernel } from './edits.ts';

/** A file that may be there. */
export type SettingsFile = { readonly path: string; readonly text: string };

export const grubDefaults = '/etc/default/grub';
/** Where Debian's packages put theirs; read in the order of their names, after the file itself. */
export const grubDirectory = '/etc/default/grub.d';
const ourFile = `${grubDirectory}/kdump-tools.cfg`;

const commandLine = /^\s*(export\s+)?GRUB_CMDLINE_LINUX(_DEFAULT)?\+?=/;
/** Whether a line of these files says what the kernel is told. */
export const isCommandLine = (line: string): boolean => commandLine.test(line);

/**
 * Sets crashkernel= in the settings of GRUB, which a shell reads: every line that has one gets the new one; when none
 * has, Debian gets a file of its own, and others a word more in GRUB_CMDLINE_LINUX.
 * @param hasDirectory whether files of grub.d are read at all
 */
export function editGrubDefaults(
  files: readonly SettingsFile[],
  value: string,
  hasDirectory: boolean,
): FileEdit[] {
  const edits = files
    .map(({ path, text }) => ({ path, before: text, after: withValue(text, value) }))
    .filter(({ after }) => after !== null) as FileEdit[];
  if (edits.length > 0) return edits.filter(({ before, after }) => before !== after);
  if (hasDirectory) {
    const after = `GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=${value}"\n`;
    const ours = files.find(({ path }) => path === ourFile);
    return [{ path: ourFile, before: ours?.text ?? null, after: `${ours?.text ?? ''}${after}` }];
  }
  const own = files.find(({ path }) => path === grubDefaults);
  return [{ path: grubDefaults, before: own?.text ?? null, after: withNewValue(own?.text ?? '', value) }];
}

/** Null when no line has crashkernel=. */
function withValue(text: string, value: string): string | null {
  const lines = text.split('\n');
  const isMeant = (line: string): boolean => isCommandLine(line) && hasCrashkernel(line);
  if (!lines.some(isMeant)) return null;
  return lines.map((line) => (isMeant(line) ? replaceCrashkernel(line, value)! : line)).join('\n');
}

function withNewValue(text: string, value: string): string {
  const lines = text.split('\n');
  const at = lines.findLastIndex((line) => /^\s*GRUB_CMDLINE_LINUX=/.test(line));
  const quoted = /^(\s*GRUB_CMDLINE_LINUX=)(["'])(.*)\2(\s*(?:#.*)?)$/.exec(lines[at] ?? '');
  if (quoted !== null) {
    const [, name, quote, words, rest] = quoted;
    const all = words === '' ? `crashkernel=${value}` : `${words} crashkernel=${value}`;
    lines[at] = `${name}${quote}${all}${quote}${rest}`;
    return lines.join('\n');
  }
  // A value without quotes is one word; what a shell makes of it stays.
  const line = `GRUB_CMDLINE_LINUX="${at < 0 ? '' : '$GRUB_CMDLINE_LINUX '}crashkernel=${value}"`;
  if (lines.at(-1) === '') lines.pop();
  return [...lines, line, ''].join('\n');
}
