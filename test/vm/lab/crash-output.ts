import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withTemporaryDirectory } from './cache.ts';
import { debugVmlinux } from './debug-vmlinux.ts';
import { type KernelName, labKernel } from './kernels.ts';
import { peer } from './peers.ts';

/** A file of commands for `crash -i`, ours or theirs, in whose output each has a line of its own before it. */
export const markedCommands = (commands: readonly string[]): string =>
  [...commands.flatMap((command) => [`!echo "@@ ${command}"`, command]), 'q', ''].join('\n');

/** What each of the marked commands printed. */
export function outputByCommand(stdout: string): Map<string, string> {
  return new Map(
    stdout
      .split(/^@@ /m)
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]),
  );
}

/** What crash(8) with its debug vmlinux prints of a dump, by command. */
export function crashOutput(
  name: KernelName,
  path: string,
  commands: readonly string[],
): Promise<Map<string, string>> {
  return withTemporaryDirectory(async (directory) => {
    const script = join(directory, 'commands');
    writeFileSync(script, markedCommands(commands));
    const crash = await peer('crash');
    const vmlinux = await debugVmlinux(await labKernel(name));
    const { stdout } = await crash.run(['-s', '-i', script, vmlinux, path], { timeout: 600_000 });
    return outputByCommand(stdout);
  });
}
