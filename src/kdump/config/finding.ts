import { printable } from '../../lib/printable.ts';

/** Something that is wrong, or worth knowing, about a setting: where, what, and what to do about it. */
export type Finding = {
  readonly severity: 'error' | 'warning';
  /** Stable, lower-case, dash-separated name. */
  readonly code: string;
  readonly file: string;
  /** 1-based; 0 when the file as a whole is meant. */
  readonly line: number;
  /** 1-based, in UTF-16 units as editors count them; 0 when the line as a whole is meant. */
  readonly column: number;
  /** One sentence. */
  readonly message: string;
  readonly fix?: string;
};

/** `FILE:LINE:COLUMN: error: SENTENCE`, and the fix in a line of its own; fit for a terminal whatever the file holds. */
export function describeFinding({ severity, file, line, column, message, fix }: Finding): string {
  const place = [file, ...(line > 0 ? [line] : []), ...(column > 0 ? [column] : [])].join(':');
  return printable(`${place}: ${severity}: ${message}${fix === undefined ? '' : `\n  ${fix}`}`);
}

export const isError = ({ severity }: Finding): boolean => severity === 'error';
