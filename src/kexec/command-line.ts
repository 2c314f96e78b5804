import { KdumpError } from '../lib/errors.ts';

/** The new kernel's command line: pure text, in the kernel's own grammar. */

/** Words as the kernel's next_arg() splits them: at white space that is not within double quotes. */
export function splitWords(commandLine: string): string[] {
  return commandLine.match(/(?:[^\s"]|"[^"]*(?:"|$))+/g) ?? [];
}

/** Name of a parameter: what stands before its first "=", without quotes around the whole word. */
function parameterName(word: string): string {
  const equals = word.indexOf('=');
  return (equals < 0 ? word : word.slice(0, equals)).replace(/^"/, '').replace(/"$/, '');
}

/** Drops every word whose parameter has one of these names; names are compared whole, never as a beginning. */
export function withoutParameters(commandLine: string, names: readonly string[]): string {
  const words = splitWords(commandLine);
  const end = words.indexOf('--');
  return words.filter((word, i) => (end >= 0 && i >= end) || !names.includes(parameterName(word))).join(' ');
}

/**
 * Appends parameters to a command line. Words behind a lone "--" belong to init, so they stay last.
 */
export function appendParameters(commandLine: string, more: string): string {
  const words = splitWords(commandLine);
  const end = words.indexOf('--');
  const [parameters, forInit] = end < 0 ? [words, []] : [words.slice(0, end), words.slice(end)];
  return [parameters.join(' '), more, forInit.join(' ')].filter((part) => part !== '').join(' ');
}

/**
 * The running kernel's command line, for use by the next one: without the boot loader's BOOT_IMAGE and, for a crash
 * kernel, without crashkernel= (which would reserve memory inside the reserved memory).
 */
export function reusedCommandLine(running: string, forCrash: boolean): string {
  return withoutParameters(running, forCrash ? ['BOOT_IMAGE', 'crashkernel'] : ['BOOT_IMAGE']);
}

/** What a command line is made of. */
export type CommandLineSources = {
  /** --append, or null. */
  readonly append: string | null;
  /** --reuse-cmdline, and the running kernel's line; null: it cannot be read. */
  readonly reuse: boolean;
  readonly running: string | null;
  /** The line that a unified kernel image carries; it counts when none is asked for. */
  readonly ofImage: string | null;
  readonly forCrash: boolean;
};

/** Where a command line comes from: options, the image, or nowhere. */
export type CommandLineSource = '--append' | '--reuse-cmdline' | 'image' | 'none';

/**
 * The new kernel's command line as far as we write it: --append to the letter, behind the running kernel's if that is
 * wanted; the image's own when neither is given.
 * @throws KdumpError `no-command-line`
 */
export function composeCommandLine({ append, reuse, running, ofImage, forCrash }: CommandLineSources): {
  readonly text: string;
  readonly source: CommandLineSource;
} {
  if (reuse) {
    if (running === null)
      throw new KdumpError('no-command-line', '--reuse-cmdline: /proc/cmdline cannot be read', {
        fix: 'Mount /proc, or give the whole command line with --append.',
      });
    const text = appendParameters(reusedCommandLine(running, forCrash), append ?? '');
    return { text, source: '--reuse-cmdline' };
  }
  if (append !== null) return { text: append, source: '--append' };
  if (ofImage !== null) return { text: reusedCommandLine(ofImage, forCrash), source: 'image' };
  return { text: '', source: 'none' };
}
