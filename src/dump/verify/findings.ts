import { KdumpError } from '../../lib/errors.ts';

/** One kind of thing that is wrong with a dump. */
export type Finding = {
  readonly kind: string;
  readonly count: number;
  /** The first ones. */
  readonly examples: readonly Example[];
};

export type Example = {
  readonly what: string;
  readonly pfn?: number;
  /** File offset, bytes. */
  readonly offset?: number;
};

const maxExamples = 20;

/** Counts what is found, by kind, and keeps the first of each. */
export class Findings {
  readonly #kinds = new Map<string, { kind: string; count: number; examples: Example[] }>();

  add(kind: string, what: string, where: Omit<Example, 'what'> = {}): void {
    let finding = this.#kinds.get(kind);
    if (finding === undefined) {
      finding = { kind, count: 0, examples: [] };
      this.#kinds.set(kind, finding);
    }
    finding.count++;
    if (finding.examples.length < maxExamples) finding.examples.push({ ...where, what });
  }

  /** Does something whose error is a finding, too. */
  try(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof KdumpError)) throw error;
      this.add(error.code, error.message);
    }
  }

  get list(): Finding[] {
    return [...this.#kinds.values()];
  }
}
