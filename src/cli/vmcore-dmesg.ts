import { dmesgOf } from '../dump/dmesg.ts';
import { openSource } from '../dump/input/open.ts';
import { liveVmcoreinfo } from '../dump/mem-usage.ts';
import { describeError, KdumpError } from '../lib/errors.ts';

/** Exit codes of kexec-tools' vmcore-dmesg: wrong usage, a file that cannot be opened, one that is no vmcore. */
const wrongUsage = 1;
const statusOf: Readonly<Record<string, number>> = { 'open-failed': 2, 'unknown-format': 4, 'not-elf': 4 };
const otherFailure = 1;

/** Prints the kernel log of a vmcore of any format, or of the running kernel by its /proc/kcore. */
function main(paths: readonly string[]): number {
  if (paths.length === 0 || (paths.length > 1 && paths.some((path) => path.startsWith('-')))) {
    process.stderr.write('usage: vmcore-dmesg <kernel core file>...\n');
    return wrongUsage;
  }
  const isLive = paths.length === 1 && paths[0] === '/proc/kcore';
  try {
    const source = openSource(paths, { mapped: false });
    try {
      const info = source.vmcoreinfo ?? (isLive ? liveVmcoreinfo(source, '/') : undefined);
      // Old logs come in any encoding: every character is one byte.
      process.stdout.write(dmesgOf(source, { plain: true }, info), 'latin1');
      return 0;
    } finally {
      source.close();
    }
  } catch (error) {
    process.stderr.write(`vmcore-dmesg: ${describeError(error)}\n`);
    return error instanceof KdumpError ? (statusOf[error.code] ?? otherFailure) : otherFailure;
  }
}

process.exitCode = main(process.argv.slice(2));
