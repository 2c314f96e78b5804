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
