import type { Format } from '../input/open.ts';
import type { Finding } from './findings.ts';

/** What was found; plain JSON. */
export type VerifyReport = {
  /** Nothing was found. */
  readonly ok: boolean;
  readonly files: readonly string[];
  /** undefined when the files are no dump that can be read. */
  readonly format: Format | undefined;
  /** Whether the files are flattened streams. */
  readonly flattened: boolean;
  readonly pages: VerifiedPages;
  readonly findings: readonly Finding[];
};

export type VerifiedPages = {
  /** Page frames that the dump describes. */
  readonly present: number;
  /** Pages whose content it should have, and those of them that are whole. */
  readonly stored: number;
  readonly whole: number;
  /** Whole pages by the way they are stored; `zero` are those that share the page of zeros. */
  readonly codecs: Readonly<Record<string, number>>;
};
