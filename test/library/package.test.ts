// The package as npm packs it: what is in it, that its library loads and works, and that its types hold.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { libraryExamples } from '../helpers/doc-examples.ts';
import { buildVmcore, release, writeVmcore } from '../helpers/vmcore.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
/** A directory in which the package is installed. */
let app: string;

const run = (program: string, args: readonly string[], cwd: string) => {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: 120_000 });
  return { status, stdout, stderr };
};

beforeAll(() => {
  app = mkdtempSync(join(tmpdir(), 'kdump-package-'));
  const sources = join(app, 'sources');
  mkdirSync(sources);
  const built = run(
    process.execPath,
    [join(project, 'scripts/build.mjs'), '--out', join(sources, 'dist')],
    app,
  );
  expect(built).toMatchObject({ status: 0 });
  const { files } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
  for (const name of ['package.json', 'README.md', 'LICENSE', 'bin', ...files])
    if (!name.startsWith('dist')) cpSync(join(project, name), join(sources, name), { recursive: true });
  const packed = run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', app], sources);
  expect(packed).toMatchObject({ status: 0 });
  run('tar', ['-xzf', packed.stdout.trim()], app);
  const modules = join(app, 'node_modules');
  mkdirSync(modules);
  cpSync(join(app, 'package'), join(modules, 'kdump-tools'), { recursive: true });
  // What npm would install along with it, and what compiles the examples.
  for (const name of ['koffi', '@koromix', '@types', 'undici-types'])
    symlinkSync(join(project, 'node_modules', name), join(modules, name));
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }');
}, 120_000);
afterAll(() => rmSync(app, { recursive: true, force: true }));

test('a program that depends on it opens a dump', () => {
  writeVmcore(join(app, 'vmcore'), buildVmcore());
  const program = `
    import { KdumpError, openDump } from 'kdump-tools';
    const dump = openDump('vmcore');
    console.log(dump.vmcoreinfo.osrelease, dump.format, dump.pages().held > 0, dump.kernel.symbol('panic'));
    dump.close();
    try {
      openDump('nothing');
    } catch (error) {
      console.log(error instanceof KdumpError, error.code);
    }`;
  writeFileSync(join(app, 'program.js'), program);
  expect(run(process.execPath, ['program.js'], app)).toEqual({
    status: 0,
    stdout: `${release} ELF true undefined\ntrue open-failed\n`,
    stderr: '',
  });
});

test('its commands start', () => {
  const { status, stdout } = run(process.execPath, ['node_modules/kdump-tools/bin/crash', '--version'], app);
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^crash \(kdump-tools\) /)]);
});

test('its types hold for the programs of docs/library.md, and refuse what is wrong', () => {
  const examples = libraryExamples();
  expect(examples.length).toBeGreaterThan(5);
  for (const [i, { source }] of examples.entries()) writeFileSync(join(app, `example-${i}.ts`), source);
  writeFileSync(
    join(app, 'wrong.ts'),
    `import { openDump } from 'kdump-tools';
     const text: string = openDump('vmcore').kernel.panicTask!.comm;
     console.log(text, openDump('vmcore').kernel.symbol(7));`,
  );
  const options = { strict: true, noEmit: true, module: 'NodeNext', target: 'ES2022', types: ['node'] };
  writeFileSync(
    join(app, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, include: ['*.ts'], exclude: ['sources', 'package'] }),
  );
  const { stdout } = run(join(project, 'node_modules/.bin/tsc'), ['-p', app, '--pretty', 'false'], app);
  expect(stdout.trim().split('\n')).toEqual([
    expect.stringMatching(/^wrong\.ts\(2,\d+\): error TS2322: Type 'string \| Missing' is not assignable/),
    expect.stringMatching(/^\s+Type 'Missing' is not assignable/),
    expect.stringMatching(/^wrong\.ts\(3,\d+\): error TS2345/),
  ]);
});
