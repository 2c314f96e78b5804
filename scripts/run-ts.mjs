// Runs a TypeScript program of this checkout (the demo, the benchmarks) on a Node.js that cannot: bundled first.
// Usage: node scripts/run-ts.mjs FILE.ts [ARGUMENT…]
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const [source] = process.argv.splice(2, 1);
// Inside the checkout, so that the bundle finds node_modules.
const outfile = join(root, 'dist/lab', `${basename(source, '.ts')}.mjs`);
await build({
  entryPoints: [resolve(root, source)],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: ['koffi', 'esbuild'],
  logLevel: 'warning',
});
process.chdir(root);
await import(pathToFileURL(outfile).href);
