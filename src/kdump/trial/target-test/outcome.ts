import { describeError } from '../../../lib/errors.ts';

/** One thing that was tried. */
export type TriedStep = { readonly step: string; readonly ok: boolean; readonly detail: string };

/** What was tried of one target, in order; after the first that fails, only what cleans up. */
export type TargetOutcome = {
  /** As it is written in a configuration. */
  readonly target: string;
  readonly ok: boolean;
  readonly steps: readonly TriedStep[];
};

/** Tries steps one after the other and keeps what came of each. */
export class Trial {
  readonly steps: TriedStep[] = [];
  readonly #tell: (step: TriedStep) => void;

  /** @param tell is told of each step once it is over */
  constructor(tell: (step: TriedStep) => void = () => {}) {
    this.#tell = tell;
  }

  /** @param action gives the detail that is worth telling */
  try(step: string, action: () => string): void {
    if (!this.failed) this.always(step, action);
  }

  /** As try(), also after a failure: for what cleans up. */
  always(step: string, action: () => string): void {
    let tried: TriedStep;
    try {
      tried = { step, ok: true, detail: action() };
    } catch (error) {
      tried = { step, ok: false, detail: describeError(error) };
    }
    this.steps.push(tried);
    this.#tell(tried);
  }

  get failed(): boolean {
    return this.steps.some(({ ok }) => !ok);
  }

  outcome(target: string): TargetOutcome {
    return { target, ok: !this.failed, steps: this.steps };
  }
}

/** For people: a line for the target, and one for each step. */
export const describeOutcome = ({ target, ok, steps }: TargetOutcome): string =>
  [
    `${target}: ${ok ? 'works' : 'does not work'}`,
    ...steps.map(
      (one) => `  ${one.ok ? 'ok    ' : 'FAILED'}  ${one.step}${one.detail === '' ? '' : `: ${one.detail}`}`,
    ),
    '',
  ].join('\n');
