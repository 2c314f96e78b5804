import { grubVariable, kernelFileOf, usesVariable, withEnvironmentText } from './boot-entries.ts';
import { crashkernelsIn, type FileEdit, replaceCrashkernel } from './edits.ts';
import { isCommandLine, type SettingsFile } from './grub-defaults.ts';
import { type BootLoaderFacts, type BootLoaderPlan, grubCommand } from './plan.ts';

/**
 * Decides how a default of crashkernel= becomes a newer one: only where exactly the older one stands. What somebody has
 * chosen stays, and what has none gets none. Pure.
 * @returns null when the older one stands nowhere
 * @throws KdumpError `boot-loader`
 */
export function planRenewal(before: string, after: string, facts: BootLoaderFacts): BootLoaderPlan | null {
  const renew: Renew = (text) => {
    const found = crashkernelsIn(text);
    return found.length === 1 && found[0] === before ? replaceCrashkernel(text, after)! : text;
  };
  if (facts.ostree && facts.programs.includes('rpm-ostree')) {
    if (renew(facts.running) === facts.running) return null;
    const commands = [['rpm-ostree', 'kargs', `--replace=crashkernel=${after}`]] as const;
    return { by: 'rpm-ostree', edits: [], commands, affectsAll: true };
  }
  if (facts.entries.length > 0) return renewEntries(renew, after, facts);
  const edits = facts.grub.flatMap((file) => editOf(file, linesWith(renew, isCommandLine)));
  return edits.length === 0 ? null : { by: 'GRUB', edits, commands: [grubCommand(facts)], affectsAll: true };
}

/** A text of parameters with the newer default, or as it is. */
type Renew = (text: string) => string;

function renewEntries(renew: Renew, after: string, facts: BootLoaderFacts): BootLoaderPlan | null {
  const inOptions = linesWith(renew, (line) => /^options\s/.test(line));
  const inVariable = linesWith(renew, (line) => line.startsWith(grubVariable));
  const environment = editOf(facts.environment, inVariable).map((edit) => ({
    ...edit,
    after: withEnvironmentText(facts.environment!, edit.after.replace(/#*$/, '')),
  }));
  const meant = facts.entries.filter(
    ({ text }) => inOptions(text) !== text || (environment.length > 0 && usesVariable(text)),
  );
  const template = editOf(facts.template, renew);
  if (meant.length + template.length === 0) return null;
  if (facts.programs.includes('grubby')) {
    const kernels = meant.flatMap(({ text }) => kernelFileOf(text) ?? []);
    const commands = kernels.map(
      (kernel) => ['grubby', `--update-kernel=${kernel}`, `--args=crashkernel=${after}`] as const,
    );
    return { by: 'grubby', edits: template, commands, affectsAll: true };
  }
  const edits = [
    ...meant.flatMap((entry) => editOf(entry, inOptions)),
    ...(meant.some(({ text }) => usesVariable(text)) ? environment : []),
    ...template,
  ];
  return { by: 'boot entries', edits, commands: [], affectsAll: true };
}

const linesWith =
  (renew: Renew, counts: (line: string) => boolean): Renew =>
  (text) =>
    text
      .split('\n')
      .map((line) => (counts(line) ? renew(line) : line))
      .join('\n');

function editOf(file: SettingsFile | null, renew: Renew): FileEdit[] {
  const after = file === null ? '' : renew(file.text);
  return file === null || after === file.text ? [] : [{ path: file.path, before: file.text, after }];
}
