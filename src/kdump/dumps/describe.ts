import { printable } from '../../lib/printable.ts';
import { type SavedDump, whereOf } from './saved-dump.ts';

/** The dumps as a table: time, state, size, name, and what happened. */
export function describeList(dumps: readonly SavedDump[]): string {
  const rows = dumps.map((dump) => [
    dump.time.slice(0, 19).replace('T', ' '),
    dump.state,
    formatBytes(dump.elsewhere?.bytes ?? dump.bytes),
    dump.elsewhere === null ? dump.name : `${dump.name} (${dump.elsewhere.place})`,
    dump.panic ?? '',
  ]);
  const table = [['TIME (UTC)', 'STATE', 'SIZE', 'NAME', 'WHAT HAPPENED'], ...rows];
  const widths = table[0]!.map((_, column) =>
    Math.max(...table.map((row) => printable(row[column]!).length)),
  );
  return table
    .map((row) =>
      row
        .map((cell, column) => printable(cell).padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/**
 * Everything about one dump, for people.
 * @param logEnd the last lines of the crashed kernel's log; empty when there is none
 */
export function describeDump(dump: SavedDump, logEnd: string): string {
  const { report } = dump;
  const facts: [string, string | null | undefined][] = [
    ['State', describeState(dump)],
    ['Why', whyNotWhole(dump)],
    ['What happened', dump.summary ?? dump.panic],
    ['Last words', dump.summary === null ? null : dump.panic],
    ['When', `${dump.time.slice(0, 19).replace('T', ' ')} UTC`],
    ['Host', dump.host],
    ['Kernel', dump.kernelRelease],
    ['Where', whereOf(dump)],
    ['Memory', describeMemory(dump)],
    ['Collected with', report?.collector],
    ['Written by', dump.madeBy],
  ];
  const lines = facts
    .filter(([, value]) => value != null && value !== '')
    .map(([name, value]) => `${`${name}:`.padEnd(16)}${printable(value!)}\n`);
  const errors = listOf(report?.errors).map(
    ({ step, message, fix }) =>
      `  ${text(step)}: ${text(message)}${fix === undefined ? '' : `\n    ${text(fix)}`}\n`,
  );
  const targets = listOf(report?.targets).map((result) => {
    const how = [text(result.state), describeBytes(result)].filter((words) => words !== '').join(', ');
    const error = describeError(result.error);
    return `  ${text(result.target)}: ${how}${error === '' ? '' : `: ${error}`}\n`;
  });
  const part = (title: string, body: readonly string[]): string[] =>
    body.length === 0 ? [] : ['\n', `${title}:\n`, ...body];
  const log = printable(logEnd.trimEnd());
  return [
    ...lines,
    ...part('Targets', targets),
    ...part('Errors', errors),
    ...part(
      'Files',
      Object.entries(dump.files).map(([name, bytes]) => `  ${printable(name)}  ${formatBytes(bytes)}\n`),
    ),
    ...part(`End of ${dump.dmesg ?? 'the log'}`, log === '' ? [] : [log.replace(/^/gm, '  '), '\n']),
  ].join('');
}

function describeMemory({ vmcore, files, elsewhere }: SavedDump): string {
  const file = vmcore ?? elsewhere?.file ?? null;
  const bytes = vmcore === null ? elsewhere?.bytes : files[vmcore];
  return file === null ? 'none saved' : `${file}, ${formatBytes(bytes ?? 0)}`;
}

function describeState({ state }: SavedDump): string {
  switch (state) {
    case 'complete':
      return 'complete';
    case 'incomplete':
      return 'incomplete: the memory was not saved to its end';
    case 'failed':
      return 'failed: no memory was saved';
  }
}

/** Why a dump is not whole, and how much of it is there; null for one that is, and when nobody has written it down. */
export function whyNotWhole({ state, report }: Pick<SavedDump, 'state' | 'report'>): string | null {
  if (state === 'complete' || report === null) return null;
  const target = listOf(report.targets).at(-1);
  // What the capture writes last is missing.
  const isCutShort = target?.error == null && report.action === null;
  const error = isCutShort ? cutShort : describeError(target?.error ?? listOf(report.errors).at(-1));
  const amount = target?.expected == null ? '' : describeBytes(target);
  return [error, amount].filter((words) => words !== '').join('; ') || null;
}

const cutShort = 'the capture was cut short, as by a loss of power or a reset';

/** How much of a dump is there, and of what, as far as it is known. */
function describeBytes({ bytes, expected }: Record<string, unknown>): string {
  if (typeof bytes !== 'number') return '';
  const whole = typeof expected === 'number' && expected > bytes ? ` of about ${formatBytes(expected)}` : '';
  return `${formatBytes(bytes)}${whole}`;
}

function describeError(error: unknown): string {
  if (error == null) return '';
  return text(typeof error === 'object' ? (error as { message?: unknown }).message : error);
}

/** Entries of a list in a report, of which nobody has checked the form. */
const listOf = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter((entry) => typeof entry === 'object' && entry !== null) : [];

const text = (value: unknown): string =>
  printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? '?'));

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A size with one decimal, in the largest unit that leaves a whole number before the point. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}
