import { writeFileSync } from 'node:fs';
import { bannerLines } from '../crash/banner.ts';
import { splitCommands } from '../crash/command-line.ts';
import { commands } from '../crash/commands/index.ts';
import { buildReport } from '../crash/report/build.ts';
import { renderReport, reportFormatOf } from '../crash/report/render.ts';
import type { Session } from '../crash/session.ts';
import { dmesgOf } from '../dump/dmesg.ts';
import { openSource } from '../dump/input/open.ts';
import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import { getopt, hasOption, lastValue, type ParsedArguments } from '../lib/getopt.ts';
import { version } from '../lib/version.ts';
import { readCommands } from './crash/interactive.ts';
import { openSession } from './crash/open-session.ts';
import { Shell } from './crash/shell.ts';
import { options, usage } from './crash/usage.ts';

/** Exit codes: 0, or 1 when the dump could not be opened or a command of -c failed. */
async function main(argv: readonly string[]): Promise<number> {
  const json = argv.includes('--json');
  try {
    const parsed = getopt(argv, options);
    if (hasOption(parsed, 'help')) return help(parsed);
    if (hasOption(parsed, 'version')) {
      process.stdout.write(`crash (kdump-tools) ${version}\n`);
      return 0;
    }
    if (hasOption(parsed, 'osrelease') || hasOption(parsed, 'log')) return oneFact(parsed);
    return await session(parsed, json);
  } catch (error) {
    if (json && error instanceof KdumpError) process.stdout.write(`${JSON.stringify(error)}\n`);
    else process.stderr.write(`crash: ${describeError(error)}\n`);
    if (error instanceof KdumpError && error.code === 'usage') process.stderr.write('Try "crash --help".\n');
    return exitCodeOf(error);
  }
}

async function session(parsed: ParsedArguments, json: boolean): Promise<number> {
  const silent = json || hasOption(parsed, 'silent');
  const given = parsed.options.filter(({ name }) => name === 'commands').map(({ value }) => value!);
  const { session, warnings, close } = openSession(parsed.positionals, lastValue(parsed, 'src'));
  try {
    for (const warning of warnings) process.stderr.write(`crash: ${warning}\n`);
    const report = lastValue(parsed, 'report');
    if (report !== undefined) {
      writeReport(session, report);
      if (given.length === 0) return 0;
    }
    const shell = new Shell(session, json);
    if (given.length === 0 && !silent) process.stdout.write(`${[...bannerLines(session)].join('\n')}\n\n`);
    const script = lastValue(parsed, 'input');
    if (script !== undefined)
      await shell.script(script, (line) => silent || process.stdout.write(`crash> ${line}\n`));
    for (const line of given.flatMap(splitCommands)) if (!shell.done) await shell.run(line);
    if (given.length === 0 && !shell.done) await readCommands(session, shell, silent);
    return given.length > 0 && shell.failed ? 1 : 0;
  } finally {
    close();
  }
}

/** Writes a report for its owner alone: it tells what was in memory. */
function writeReport({ kernel, dump }: Session, path: string): void {
  const format = reportFormatOf(path);
  writeFileSync(path, renderReport(buildReport(kernel, dump), format), { mode: 0o600 });
}

function help({ positionals: [name] }: ParsedArguments): number {
  if (name === undefined) process.stdout.write(usage);
  else {
    const command = commands.find(name);
    if (command === undefined) throw new KdumpError('usage', `no such command: ${name}`);
    process.stdout.write(`${command.name} ${command.usage}\n\n${command.help}\n`);
  }
  return 0;
}

/** What is asked of a dump alone, without its kernel being understood. */
function oneFact(parsed: ParsedArguments): number {
  const source = openSource(parsed.positionals);
  try {
    process.stdout.write(
      hasOption(parsed, 'log')
        ? dmesgOf(source, { plain: true })
        : `${source.vmcoreinfo?.osrelease ?? 'unknown'}\n`,
      'latin1',
    );
    return 0;
  } finally {
    source.close();
  }
}

process.exitCode = await main(process.argv.slice(2));
