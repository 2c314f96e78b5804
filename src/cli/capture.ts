import { readFileSync, writeSync } from 'node:fs';
import { parseCaptureConfig } from '../kdump/capture/config.ts';
import { runAfterFailure, runCapture } from '../kdump/capture/flow.ts';
import { localMachine } from '../kdump/capture/local-machine.ts';
import { captureConfigPath } from '../kdump/capture/paths.ts';
import { captureTools } from '../kdump/capture/tools.ts';
import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import { getopt, lastValue } from '../lib/getopt.ts';

/**
 * The capture, started by the image's init: `capture [--after-failure STATUS]`.
 * Exit code 0: how it went is written to the target, be it well or badly. Anything else: init tries --after-failure once.
 */
async function main(argv: readonly string[]): Promise<number> {
  const parsed = getopt(argv, [{ name: 'after-failure', takesValue: true }]);
  const status = lastValue(parsed, 'after-failure');
  if (status !== undefined && !/^\d+$/.test(status))
    throw new KdumpError('usage', `--after-failure ${status}: not an exit status`);
  const config = parseCaptureConfig(readFileSync(captureConfigPath, 'utf8'));
  // At once, not when the event loop comes around to it: the collector never lets it.
  const machine = localMachine((line) => void writeSync(1, `${line}\n`));
  const outcome =
    status === undefined
      ? await runCapture(config, machine, captureTools)
      : await runAfterFailure(Number(status), config, machine, captureTools);
  return outcome.recorded ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`kdump: ${describeError(error)}\n`);
  process.exitCode = exitCodeOf(error);
}
