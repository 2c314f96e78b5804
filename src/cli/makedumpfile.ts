import { writeFileSync } from 'node:fs';
import { collect } from '../dump/collect.ts';
import { extractDmesg } from '../dump/dmesg.ts';
import { type MakedumpfileCommand, message, parseMakedumpfile } from '../dump/options.ts';
import { formatReport } from '../dump/report.ts';
import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import { progressLine } from '../lib/progress.ts';
import { version } from '../lib/version.ts';
import { compressorNames, openCompressor } from '../system/codecs.ts';

const usage = `Usage:
  makedumpfile [-c|-l|-z] [-d LEVEL] [-f] VMCORE DUMPFILE
  makedumpfile --dump-dmesg [-f] VMCORE LOGFILE

  -c, -l, -z          compress each page by zlib, LZO or zstd; the last one given wins
  -d LEVEL            leave out pages by type, the sum of
                        1 filled with zero    2 page cache without private data   4 all page cache
                        8 user process data  16 free
                      hwpoisoned and offline pages are never dumped
  -f                  overwrite an existing output file
  --dump-dmesg        write the kernel log instead of a dump
  --message-level N   what is printed, the sum of
                        1 progress  2 common messages  4 errors  8 debug  16 report   (default 7)
  --show-stats        same as adding 16
  -D                  same as adding 8
  --check-params      only check the command line
  -h, -v              this help, the version
`;

/** Exit codes as the original: 0 saved, 1 failed. */
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

type Work = Extract<MakedumpfileCommand, { mode: 'create' | 'dmesg' }>;

function work(command: Work): number {
  const shows = (bit: number): boolean => (command.messageLevel & bit) !== 0;
  const print = (text: string): void => {
    if (shows(message.common)) process.stdout.write(text);
  };
  try {
    run(command, shows, print);
  } catch (error) {
    if (shows(message.error)) process.stderr.write(`${describeError(error)}\n`);
    print('\nmakedumpfile Failed.\n');
    return exitCodeOf(error);
  }
  print('\nmakedumpfile Completed.\n');
  return 0;
}

function run(command: Work, shows: (bit: number) => boolean, print: (text: string) => void): void {
  if (command.mode === 'dmesg') {
    writeLog(command.output, extractDmesg(command.vmcore), command.overwrite);
    print(`\nThe dmesg log is saved to ${command.output}.\n`);
    return;
  }
  const report = collect(command.request, {
    progress: shows(message.progress) ? progressOnStderr() : () => {},
    message: (text) => print(`${text}\n`),
  });
  if (shows(message.report)) {
    process.stdout.write(`\n${formatReport(report)}`);
    const { filter, copy } = report.seconds;
    process.stdout.write(`STEP [Excluding unnecessary pages] : ${filter.toFixed(6)} seconds\n`);
    process.stdout.write(`STEP [Copying data               ] : ${copy.toFixed(6)} seconds\n\n`);
  }
  print(`\nThe dumpfile is saved to ${report.output}.\n`);
}

function writeLog(path: string, text: string, overwrite: boolean): void {
  try {
    writeFileSync(path, text, { encoding: 'latin1', mode: 0o600, flag: overwrite ? 'w' : 'wx' });
  } catch (error) {
    const fix =
      (error as NodeJS.ErrnoException).code === 'EEXIST'
        ? { fix: 'Give another name, or -f to overwrite it.' }
        : {};
    throw new KdumpError('create-failed', `${path}: cannot be written: ${(error as Error).message}`, {
      ...fix,
      cause: error,
    });
  }
}

/** One line a second at most, and one when a step is done, each over the last. */
function progressOnStderr(): Progress {
  let label = '';
  let began = 0;
  let shown = 0;
  let count = 0;
  return (step, done, total) => {
    const now = performance.now();
    if (step !== label) {
      label = step;
      began = now;
      shown = 0;
    }
    if (done < total && now - shown < 1000) return;
    shown = now;
    process.stderr.write(progressLine(step, done, total, (now - began) / 1000, count++));
    if (done >= total) process.stderr.write('\n');
  };
}

process.exitCode = main(process.argv.slice(2));
