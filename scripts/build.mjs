// Bundles every command into one file, and the library: a command starts faster from one file than from forty, and the
// capture image carries exactly one. The library's types lie beside them, a file for each of its modules. koffi stays
// outside: it is a native addon that is found beside the bundle or in node_modules; and iced-x86, whose WebAssembly is
// loaded from its own directory when something is disassembled.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({ options: { out: { type: 'string' } } });
const outdir = options.out ?? join(root, 'dist');
const commands = readdirSync(join(root, 'src/cli'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => basename(name, '.ts'));
const entryPoints = [
  ...commands.map((name) => ({ in: join(root, 'src/cli', `${name}.ts`), out: name })),
  // What the collector's worker threads run; the main thread finds it beside its own bundle.
  { in: join(root, 'src/dump/crew/worker.ts'), out: 'dump-worker' },
  { in: join(root, 'src/library/index.ts'), out: 'library' },
];

const { outputFiles } = await build({
  entryPoints,
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: ['koffi', 'iced-x86'],
  sourcemap: false,
  legalComments: 'none',
  logLevel: 'warning',
  write: false,
});
// Only what was built takes the place of what is there.
rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
for (const { path, contents } of outputFiles) writeFileSync(path, contents);
// Beside the bundles koffi's addon is loaded as it is, in a tenth of the time that its package takes.
copyFileSync(koffiAddon(), join(outdir, 'koffi.node'));
emitTypes();
for (const name of readdirSync(join(root, 'bin'))) chmodSync(join(root, 'bin', name), 0o755);
console.log(`built ${commands.join(', ')} and the library into ${relative(root, outdir)}/`);

function emitTypes() {
  const tsc = join(root, 'node_modules/.bin/tsc');
  const args = ['-p', join(root, 'tsconfig.types.json'), '--outDir', join(outdir, 'types')];
  const { status, stdout, stderr, error } = spawnSync(tsc, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the types of the library: ${error?.message ?? stdout + stderr}`);
}

function koffiAddon() {
  const fromKoffi = createRequire(createRequire(import.meta.url).resolve('koffi'));
  const manifest = fromKoffi.resolve(`@koromix/koffi-linux-${process.arch}`);
  const isGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
  return join(dirname(manifest), `${isGlibc ? 'linux' : 'musl'}_${process.arch}`, 'koffi.node');
}
