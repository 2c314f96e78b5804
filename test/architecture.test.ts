import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** The rooms of src/ and what each may import: the arrows of ARCHITECTURE.md. They only go down. */
const arrows: Record<string, readonly string[]> = {
  cli: ['library', 'kdump', 'kexec', 'dump', 'crash', 'kernel', 'formats', 'system', 'lib'],
  library: ['dump', 'crash', 'kernel', 'formats', 'lib'],
  kdump: ['kexec', 'dump', 'kernel', 'formats', 'system', 'lib'],
  kexec: ['kernel', 'formats', 'system', 'lib'],
  dump: ['kernel', 'formats', 'system', 'lib'],
  crash: ['kernel', 'formats', 'lib'],
  kernel: ['formats', 'lib'],
  formats: ['lib'],
  system: ['lib'],
  lib: [],
};
/** Modules that only some rooms may touch. */
const guarded: Record<string, readonly string[]> = {
  koffi: ['system'],
  'node:child_process': ['system'],
  'node:fs': ['system', 'dump', 'kexec', 'kdump', 'cli'],
};

const root = fileURLToPath(new URL('../src', import.meta.url));
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(root, name));

const imports = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import|require)\s*\(?\s*'([^']+)'/g)].map(
    (match) => match[1]!,
  );
const roomOf = (file: string): string => relative(root, file).split('/')[0]!;

test('src has exactly the rooms of the picture', () => {
  expect(readdirSync(root).sort()).toEqual(Object.keys(arrows).sort());
});

test('imports go down only', () => {
  const wrong = files.flatMap((file) =>
    imports(file)
      .filter((target) => target.startsWith('.'))
      .map((target) => roomOf(join(file, '..', target)))
      .filter((to) => to !== roomOf(file) && !arrows[roomOf(file)]!.includes(to))
      .map((to) => `${relative(root, file)} imports ${to}`),
  );
  expect(wrong).toEqual([]);
});

test('only src/system reaches native code and processes; kernel, formats and lib are given their bytes', () => {
  const wrong = files.flatMap((file) =>
    imports(file)
      .filter((target) => guarded[target] && !guarded[target].includes(roomOf(file)))
      .map((target) => `${relative(root, file)} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('only src/cli ends the process or prints', () => {
  // What else is named console has none of these.
  const methods = 'log|error|warn|info|debug|trace|assert|dir|dirxml|table|group\\w*|count\\w*|time\\w*';
  const printing = new RegExp(`\\bprocess\\.(exit|exitCode|stdout|stderr)\\b|\\bconsole\\.(${methods})\\b`);
  const wrong = files.filter((file) => roomOf(file) !== 'cli' && printing.test(readFileSync(file, 'utf8')));
  expect(wrong.map((file) => relative(root, file))).toEqual([]);
});

test('every command has a launcher and the other way round', () => {
  const commands = readdirSync(join(root, 'cli')).map((name) => name.replace(/\.ts$/, ''));
  const launchers = readdirSync(join(root, '../bin'));
  for (const launcher of launchers) expect(commands).toContain(launcher);
  // What runs from the capture image only, and what is started by it.
  expect(commands.filter((command) => !launchers.includes(command))).toEqual(['capture', 'crash-report']);
});
