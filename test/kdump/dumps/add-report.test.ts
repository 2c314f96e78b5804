import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addReport } from '../../../src/kdump/dumps/add-report.ts';

let root: string;
let directory: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kdump-add-'));
  directory = mkdtempSync(join(root, 'dump-'));
  writeFileSync(join(directory, 'dump.json'), JSON.stringify({ state: 'complete', errors: [] }));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Adds a report by a program in place of the real one. */
function add(source: string): { readonly summary?: string; readonly errors: readonly object[] } {
  const bundle = join(root, 'program.mjs');
  writeFileSync(bundle, `import { writeFileSync } from 'node:fs';\n${source}`);
  addReport(directory, { node: [process.execPath], bundle });
  return JSON.parse(readFileSync(join(directory, 'dump.json'), 'utf8'));
}
const write = `writeFileSync(process.argv[3] + '/report.json', JSON.stringify({ summary: process.argv[2] }), { mode: 0o600 });`;

it('adds the report of a dump, and its paragraph to the account', () => {
  writeFileSync(join(directory, 'vmcore'), '');
  expect(add(write)).toMatchObject({ state: 'complete', summary: join(directory, 'vmcore'), errors: [] });
  expect(readdirSync(directory).sort()).toEqual(['dump.json', 'report.json', 'vmcore']);
  expect(statSync(join(directory, 'dump.json')).mode & 0o777).toBe(0o600);
});

it('reads what there is of a dump that is not whole, and says why there is no report', () => {
  writeFileSync(join(directory, 'vmcore-incomplete'), '');
  const { errors } = add(`${write} console.error('crash-report: it ends early'); process.exitCode = 1;`);
  expect(errors).toMatchObject([{ step: 'report', message: 'no report: crash-report: it ends early' }]);
  expect(readdirSync(directory)).not.toContain('report.json');
});

it('has nothing to add where there is no dump', () => {
  expect(add('throw new Error();')).toEqual({ state: 'complete', errors: [] });
});
