// Writes the shell completion into completions/, from the tables that the programs themselves go by.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outfile = join(root, 'dist/lab/completions.mjs');
await build({
  entryPoints: [join(root, 'src/cli/kdumpctl/completion.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: ['koffi', 'yargs'],
  logLevel: 'warning',
});
const { bashCompletion } = await import(pathToFileURL(outfile).href);
rmSync(outfile);
mkdirSync(join(root, 'completions'), { recursive: true });
writeFileSync(join(root, 'completions/kdumpctl'), bashCompletion());
