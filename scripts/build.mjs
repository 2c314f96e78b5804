// Bundles every command into one file: a command starts faster from one file than from forty, and the capture image
// carries exactly one. koffi stays outside: it is a native addon that is found beside the bundle or in node_modules.
import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = join(root, 'dist');
const entryPoints = readdirSync(join(root, 'src/cli'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(root, 'src/cli', name));

rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
await build({
  entryPoints,
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: ['koffi'],
  sourcemap: false,
  legalComments: 'none',
  logLevel: 'warning',
});
for (const name of readdirSync(join(root, 'bin'))) chmodSync(join(root, 'bin', name), 0o755);
console.log(`built ${entryPoints.map((path) => basename(path, '.ts')).join(', ')} into dist/`);
