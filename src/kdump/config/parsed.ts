import type { DirectiveName, Settings } from './directives.ts';
import type { Finding } from './finding.ts';
import type { Target } from './target.ts';

/** Where a value comes from: a line of a file (and the variable's name, where the file has variables), or nowhere. */
export type Origin =
  | { readonly from: 'default' }
  | { readonly from: 'file'; readonly file: string; readonly line: number; readonly variable?: string };

/** The settings of kdump.conf, as plain JSON. */
export type KdumpConfig = {
  /** null: the file system on which `settings.path` lies. */
  readonly target: Target | null;
  readonly settings: Settings;
  /** Of `target` and of every setting; of a repeatable one, where its first line is. */
  readonly origins: Readonly<Record<DirectiveName | 'target', Origin>>;
};

/** A line that counts, as it was understood. */
export type Entry = {
  /** As it is written. */
  readonly name: string;
  /** Entries of one slot exclude each other: its name is `target` or that of a directive. */
  readonly slot: DirectiveName | 'target';
  readonly value: string;
  /** 1-based */
  readonly line: number;
};

export type ParsedConfig = {
  readonly config: KdumpConfig;
  readonly entries: readonly Entry[];
  /** Errors and warnings, by line. Where there is an error, the value in `config` is the default. */
  readonly findings: readonly Finding[];
};
