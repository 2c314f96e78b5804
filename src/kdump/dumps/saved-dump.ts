import type { DumpReport, DumpState } from '../capture/report.ts';

/** What one crash left: a directory, whoever wrote it. */
export type SavedDump = {
  /** The directory's own name. */
  readonly name: string;
  readonly directory: string;
  /** Where the dump is when the directory has only the account of it; null: here, or nowhere. */
  readonly elsewhere: {
    /** TARGET:DIRECTORY */
    readonly place: string;
    readonly file: string | null;
    readonly bytes: number | null;
  } | null;
  readonly madeBy: 'kdump-tools' | 'kdump-utils' | 'debian';
  readonly state: DumpState;
  /** The machine that crashed, as the dump names it; null: this one, or nobody says. */
  readonly host: string | null;
  /** ISO 8601, UTC */
  readonly time: string;
  readonly kernelRelease: string | null;
  /** The line with which the kernel died. */
  readonly panic: string | null;
  /** What happened, in the paragraph of its report; null when it has none. */
  readonly summary: string | null;
  /** Name of the file with the memory, whole or not; null when there is none. */
  readonly vmcore: string | null;
  /** Name of the file with the crashed kernel's log. */
  readonly dmesg: string | null;
  /** Size of each file. */
  readonly files: Readonly<Record<string, number>>;
  /** Space that the directory takes, holes not counted. */
  readonly bytes: number;
  /** dump.json as it stands there. */
  readonly report: Partial<DumpReport> | null;
};

/** Where a reader looks for it. */
export const whereOf = ({ directory, elsewhere }: Pick<SavedDump, 'directory' | 'elsewhere'>): string =>
  elsewhere?.place ?? directory;

/** Without accounts of dumps that are themselves among these. */
export function withoutCopies(dumps: readonly SavedDump[]): SavedDump[] {
  const keyOf = ({ report, host, time }: SavedDump): string | null =>
    report?.crashTime == null ? null : `${host} ${time}`;
  const seen = new Set(dumps.filter(({ report }) => report?.copy !== true).map(keyOf));
  return dumps.filter((dump) => dump.report?.copy !== true || !seen.has(keyOf(dump)));
}

/** Oldest first; the name decides between two of the same second. */
export const byTime = (a: SavedDump, b: SavedDump): number =>
  Date.parse(a.time) - Date.parse(b.time) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
