// Writes the manual pages into man/, from the tables that the programs themselves go by.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outfile = join(root, 'dist/lab/man-pages.mjs');
await build({
  stdin: {
    contents:
      "export * from './src/kdump/config/man-page.ts'; export * from './src/cli/kdumpctl/man-page.ts';",
    resolveDir: root,
  },
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: ['koffi', 'yargs'],
  logLevel: 'warning',
});
const { configManPage, commandManPage } = await import(pathToFileURL(outfile).href);
rmSync(outfile);
mkdirSync(join(root, 'man'), { recursive: true });
writeFileSync(join(root, 'man/kdump.conf.5'), configManPage());
writeFileSync(join(root, 'man/kdumpctl.8'), commandManPage());
