import type { CommandModule } from 'yargs';

/** What a file of this directory exports for its verb. */
export type VerbModule = {
  /** As yargs knows it; its handler sets process.exitCode when that is not 0. */
  // biome-ignore lint/suspicious/noExplicitAny: the options of each verb are its own
  readonly command: CommandModule<object, any>;
  /** Rewrites the arguments before yargs sees them. */
  readonly prepare?: (argv: readonly string[]) => string[];
};
