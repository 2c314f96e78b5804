import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import { version } from '../lib/version.ts';
import { parseKexec } from './kexec/command.ts';
import { status } from './kexec/status.ts';
import { usage } from './kexec/usage.ts';

/** Runs the command and returns its exit code. */
async function main(argv: readonly string[]): Promise<number> {
  // Before parsing, since an option that is wrong must be reported in the form that was asked for.
  const json = argv.includes('--json');
  try {
    const command = parseKexec(argv);
    switch (command.action) {
      case 'help':
        process.stdout.write(usage);
        return 0;
      case 'version':
        process.stdout.write(`kexec (kdump-tools) ${version}\n`);
        return 0;
      case 'status':
        return status(command);
      default:
        // Only now: what is asked most often needs none of the planner.
        return (await import('./kexec/work.ts')).work(command);
    }
  } catch (error) {
    if (json && error instanceof KdumpError) process.stderr.write(`${JSON.stringify(error.toJSON())}\n`);
    else process.stderr.write(`kexec: ${describeError(error)}\n`);
    return exitCodeOf(error);
  }
}

process.exitCode = await main(process.argv.slice(2));
