import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import { version } from '../lib/version.ts';
import { internalVerbs, verbs } from './kdumpctl/verbs.ts';

const usage = `Usage: kdumpctl VERB [OPTION]...

${Object.entries(verbs)
  .map(([name, verb]) => `  ${`${name} ${verb.usage}`.trimEnd()}\n      ${verb.summary}\n`)
  .join('')}
  -h, --help     print this help; after a verb, its own
  -v, --version  print the version
`;

async function main(argv: readonly string[]): Promise<void> {
  const [name = '', ...rest] = argv;
  if (name === '-h' || name === '--help' || name === 'help') return print(usage);
  if (name === '-v' || name === '--version') return print(`kdumpctl: kdump-tools version ${version}\n`);
  const known = { ...verbs, ...internalVerbs };
  if (!Object.hasOwn(known, name))
    throw new KdumpError('usage', name === '' ? 'no verb given' : `unknown verb "${name}"`, {
      fix: usage.trimEnd(),
    });
  // yargs costs a start 35 ms: only what has options waits for it.
  const [{ command, prepare }, { default: yargs }] = await Promise.all([
    known[name]!.load(),
    import('yargs'),
  ]);
  await yargs([name, ...(prepare?.(rest) ?? rest)])
    .scriptName('kdumpctl')
    .locale('en')
    .command(command)
    .strict()
    .help('help')
    .alias('help', 'h')
    .version(false)
    .exitProcess(false)
    .fail((message: string | null, error: unknown) => {
      throw (
        error ?? new KdumpError('usage', message ?? 'wrong usage', { fix: `See kdumpctl ${name} --help.` })
      );
    })
    .parseAsync();
}

const print = (text: string): undefined => void process.stdout.write(text);

// Who reads the output may have seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const argv = process.argv.slice(2);
try {
  await main(argv);
} catch (error) {
  if (argv.includes('--json') && error instanceof KdumpError) print(`${JSON.stringify(error)}\n`);
  process.stderr.write(`kdump: ${describeError(error)}\n`);
  process.exitCode = exitCodeOf(error);
}
