import { type MakedumpfileCommand, message, parseMakedumpfile } from '../dump/options.ts';
import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import { version } from '../lib/version.ts';
import { compressorNames, openCompressor } from '../system/codecs.ts';
import { type Outcome, run, type Talk } from './makedumpfile/modes.ts';
import { progressOnStderr } from './makedumpfile/progress.ts';
import { usage } from './makedumpfile/usage.ts';

/** Exit codes as the original: 0 saved, 1 failed, 2 for a VMCOREINFO file of another kernel. */
function main(argv: readonly string[]): number {
  let command: MakedumpfileCommand;
  try {
    command = parseMakedumpfile(argv);
  } catch (error) {
    process.stderr.write(
      `makedumpfile: ${describeError(error)}\nCommandline parameter is invalid.\nTry \`makedumpfile --help' for more information.\n`,
    );
    // --check-params is asked by scripts for its exit code alone, so it gets no trailer.
    if (!argv.includes('--check-params')) process.stdout.write('\nmakedumpfile Failed.\n');
    return exitCodeOf(error);
  }
  if (command.mode === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  if (command.mode === 'version') {
    // What is enabled is what is installed on this machine, not what was compiled in.
    const codecs = compressorNames.map(
      (name) => `${name}\t${openCompressor(name) ? 'enabled' : 'disabled'}\n`,
    );
    process.stdout.write(`makedumpfile: kdump-tools version ${version}\n${codecs.join('')}`);
    return 0;
  }
  return command.checkOnly ? 0 : work(command);
}

type Work = Exclude<MakedumpfileCommand, { mode: 'help' | 'version' }>;

function work(command: Work): number {
  const shows = (bit: number): boolean => (command.messageLevel & bit) !== 0;
  // Standard output belongs to the result where there is one: a stream, a log, JSON.
  const streams =
    command.json ||
    (command.mode === 'create' && command.request.target.kind === 'stream') ||
    (command.mode === 'dmesg' && command.output === undefined);
  const out = streams ? process.stderr : process.stdout;
  const print = (text: string): void => {
    if (shows(message.common)) out.write(text);
  };
  const talk: Talk = {
    progress: shows(message.progress) ? progressOnStderr() : () => {},
    message: (text) => print(`${text}\n`),
    report: (text) => {
      if (shows(message.report)) out.write(text);
    },
    result: (text) => process.stdout.write(text),
    json: command.json,
  };
  let outcome: Outcome;
  try {
    outcome = run(command, talk);
  } catch (error) {
    if (command.json && error instanceof KdumpError) process.stdout.write(`${JSON.stringify(error)}\n`);
    if (shows(message.error)) process.stderr.write(`${describeError(error)}\n`);
    print('\nmakedumpfile Failed.\n');
    return exitCodeOf(error);
  }
  // Modes whose result is on standard output end with it, as the original's --mem-usage does.
  if (outcome.trailer !== '') print(`\n${outcome.trailer}\n\nmakedumpfile Completed.\n`);
  return outcome.status;
}

process.exitCode = main(process.argv.slice(2));
