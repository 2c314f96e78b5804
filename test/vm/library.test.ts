import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { libraryExamples } from '../helpers/doc-examples.ts';
import { comparedKernels, rawVmcore } from './lab/lab.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const examples = libraryExamples();
/** What a program must say of a dump that a guest of the lab took by sysrq, by its heading. */
const said: Readonly<Record<string, RegExp>> = {
  'The library': /^\d+\.\d+\S* ELF 2 CPUs\npanicked: 1 init on CPU \d\n\[ *\d+\.\d+\] .+\n$/,
  'What is not there': /^\w+\nundefined\n$/,
  'Symbols and types':
    /^f{8}\w{8} [tT]\npanic\+0x4\/0x\w+ vmlinux\nstruct 16 \[ 'next@0', 'prev@8' \]\n\d+\n\[\s*'PIDTYPE_PID=0'/,
  Objects:
    /^swapper\/?0? 0n\n\{ next: \d+n, prev: \d+n \}\n\d+\.\d+\S*\n[\s\S]*sysname: 'Linux'[\s\S]*\n\d+\n$/,
  'Tasks and stacks':
    /\n0 swapper[\s\S]*call sysrq_handle_crash\+[\s\S]*it ends: user\n0 \d+\n1 \d+\n\d+ tasks in/,
  'Lists and trees': /^\[[\s\S]*\] undefined\n[\w ]+ \d+n\n0 tasks wait/,
  'Files, memory, slabs': /^\d+ \/[\s\S]*total: \d+, free: \d+, slab: \d+/,
  'What an address is': /^slab 0x0 bytes into the object 0x\w+ of task_struct[\s\S]*\ntask_struct\S* slab\n$/,
  'What happened': /this is a test or a deliberate crash[\s\S]*\n\w{16} sysrq_handle_crash\n\d+ characters/,
};

let directory: string;
beforeAll(async () => {
  // Inside the checkout, so that koffi is found.
  mkdirSync(join(project, 'dist'), { recursive: true });
  directory = mkdtempSync(join(project, 'dist/library-'));
  const entryPoints = examples.map(({ source }, i) => {
    writeFileSync(join(directory, `${i}.ts`), source);
    return join(directory, `${i}.ts`);
  });
  await build({
    entryPoints,
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    alias: { 'kdump-tools': join(project, 'src/library/index.ts') },
    external: ['koffi'],
    logLevel: 'error',
  });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.each(comparedKernels())('the programs of docs/library.md on a dump of %s', (name) => {
  test.each(examples.map(({ heading }, i) => [heading, i] as const))('%s', async (heading, i) => {
    const place = mkdtempSync(join(directory, 'run-'));
    symlinkSync(await rawVmcore(name), join(place, 'vmcore'));
    const program = join(directory, `${i}.mjs`);
    const ended = spawnSync(process.execPath, [program], { cwd: place, encoding: 'utf8', timeout: 60_000 });
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    expect(ended.stdout).toMatch(said[heading]!);
  });
});
