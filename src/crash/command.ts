import type { Session } from './session.ts';

/**
 * A command of the analysis shell. Commands are found by the table in commands/index.ts; a new one is a file there and
 * its line in the table.
 *
 * What is wrong with the arguments is a KdumpError `usage` (arguments.ts makes it); what the dump lacks is said in its
 * place among the lines. Whatever a command throws ends that command, never the session.
 */
export type Command = {
  /** As crash(8) spells it. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** The arguments alone: '[-t | -T] [-m]'. Empty when it takes none. */
  readonly usage: string;
  /** What it is for, in a few words: its line in `help`. */
  readonly summary: string;
  /** Options and examples, as many lines as they need: the body of `help NAME`. */
  readonly help: string;
  /** Loads what it cannot run without, once, before it first runs; where it fails the command fails. */
  prepare?(): Promise<void>;
  /** The lines of its output, without their newlines, as they become known: who pipes into head stops it there. */
  run(session: Session, args: readonly string[]): Iterable<string>;
  /** The same as plain values; bigints become '0x…'. Without it --json gives the lines. */
  json?(session: Session, args: readonly string[]): unknown;
};

/** All commands, by name and alias. */
export class CommandTable {
  readonly all: readonly Command[];
  readonly #byName: ReadonlyMap<string, Command>;

  constructor(commands: readonly Command[]) {
    this.all = commands;
    this.#byName = new Map(
      commands.flatMap((command) =>
        [command.name, ...(command.aliases ?? [])].map((name) => [name, command] as const),
      ),
    );
  }

  find(name: string): Command | undefined {
    return this.#byName.get(name);
  }

  /** All names and aliases, sorted. */
  get names(): readonly string[] {
    return [...this.#byName.keys()].sort();
  }
}

/** The options of a command as its usage and its help name them: '-a', '-64'. */
export function optionsOf({ usage, help }: Pick<Command, 'usage' | 'help'>): string[] {
  const words = [...`${usage}\n${help}`.matchAll(/(?<![\w-])-(\d+|[A-Za-z]+)(?![\w-])/g)].map(
    ([, word]) => word!,
  );
  // Letters stand together where each may be given.
  const options = words.flatMap((word) => (/^\d/.test(word) ? [word] : [...word]));
  return [...new Set(options)].sort().map((option) => `-${option}`);
}
