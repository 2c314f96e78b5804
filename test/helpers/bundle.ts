import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const commands = fileURLToPath(new URL('../../src/cli', import.meta.url));

/** Bundles commands of src/cli into a directory as `<name>.mjs`, from the sources as they are now. */
export async function bundleCommands(names: readonly string[], directory: string): Promise<void> {
  await build({
    entryPoints: names.map((name) => join(commands, `${name}.ts`)),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    logLevel: 'error',
  });
}
