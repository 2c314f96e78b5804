import type { CommandModule } from 'yargs';

/** What a file of this directory exports for its verb. */
export type VerbModule = {
  /** As yargs knows it; its handler sets process.exitCode when that is not 0. */
  // biome-ignore lint/suspicious/noExplicitAny: the options of each verb are its own
  readonly command: CommandModule<object, any>;
  /** Rewrites the arguments before yargs sees them. */
  readonly prepare?: (argv: readonly string[]) => string[];
};

export type Verb = {
  /** What may follow the verb, for help and man page. */
  readonly usage: string;
  readonly summary: string;
  readonly load: () => Promise<VerbModule>;
};

/** Every verb of kdumpctl, loaded when it is asked for. */
export const verbs: Readonly<Record<string, Verb>> = {
  config: {
    usage: 'show|check|get|set|unset|schema',
    summary: 'Shows, checks and changes the settings. Exit status 1 when there is an error in them.',
    load: () => import('./config.ts'),
  },
};
