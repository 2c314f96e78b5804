/** A file of a boot loader's settings, as it is and as it is to be; `before` is null for one that is not there. */
export type FileEdit = { readonly path: string; readonly before: string | null; readonly after: string };

const crashkernel = /(^|[\s"'])crashkernel=[^\s"']*/g;

/** Values of every crashkernel= in a text. */
export const crashkernelsIn = (text: string): string[] =>
  [...text.matchAll(crashkernel)].map(([word]) => word.slice(word.indexOf('=') + 1));

/** Whether a text has crashkernel= as a parameter. */
export const hasCrashkernel = (text: string): boolean => text.search(crashkernel) >= 0;

/**
 * A line of parameters with one crashkernel=, in the place of the first; null when there was none. What else is in it,
 * quotes of a shell included, stays as it is written.
 */
export function replaceCrashkernel(text: string, value: string): string | null {
  if (!hasCrashkernel(text)) return null;
  let first = true;
  return text.replace(crashkernel, (_, before: string) => {
    const kept = first ? `${before}crashkernel=${value}` : before.trim();
    first = false;
    return kept;
  });
}

/** The lines that an edit changes, as diff -U0 shows them; nothing when it changes none. */
export function describeEdit({ path, before, after }: FileEdit): string {
  if (before === after) return '';
  const old = before === null ? [] : linesOf(before);
  const changed = linesOf(after);
  const parts: string[] = [];
  for (let i = 0; i < Math.max(old.length, changed.length); i++) {
    if (old[i] === changed[i]) continue;
    const [left, right] = [old[i], changed[i]];
    parts.push(
      `@@ -${left === undefined ? `${old.length},0` : i + 1} +${right === undefined ? `${changed.length},0` : i + 1} @@`,
    );
    if (left !== undefined) parts.push(`-${left}`);
    if (right !== undefined) parts.push(`+${right}`);
  }
  return [`--- ${before === null ? '/dev/null' : path}`, `+++ ${path}`, ...parts, ''].join('\n');
}

const linesOf = (text: string): string[] => text.replace(/\n$/, '').split('\n');
