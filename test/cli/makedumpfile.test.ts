import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { textPage, type612, writeVmcore } from '../helpers/vmcore.ts';

const program = fileURLToPath(new URL('../../bin/makedumpfile', import.meta.url));
let directory: string;
let core: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'makedumpfile-cli-'));
  core = join(directory, 'core');
  writeVmcore(core, {
    pages: 512,
    content: (pfn) => (pfn < 64 ? undefined : textPage(pfn)),
    structPage: (pfn) => (pfn === 128 ? { type: type612.buddy, private: 4n } : {}),
  });
});
afterAll(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);
const run = (...argv: string[]) => spawnSync(process.execPath, [program, ...argv], { encoding: 'utf8' });

test('saves a dump, says where, shows progress on stderr only', () => {
  const { status, stdout, stderr } = run('-l', '-d', '31', core, at('a'));
  expect(status).toBe(0);
  expect(stdout).toBe(`\nThe dumpfile is saved to ${at('a')}.\n\nmakedumpfile Completed.\n`);
  expect(stderr).toContain('\rCopying data                                      : [100.0 %] ');
});

test('message level 0 says nothing at all', () => {
  const { status, stdout, stderr } = run('--message-level', '0', '-d', '31', core, at('b'));
  expect([status, stdout, stderr]).toEqual([0, '', '']);
});

test('the report is in the words and columns of the original', () => {
  const { stdout } = run('--message-level', '16', '-d', '17', core, at('c'));
  const zero = /Pages filled with zero {2}: 0x([0-9a-f]{16})/.exec(stdout)?.[1];
  expect(Number.parseInt(zero!, 16)).toBeGreaterThanOrEqual(64);
  expect(stdout).toContain('Original pages  : 0x0000000000000200\n');
  expect(stdout).toContain('    Free pages              : 0x0000000000000010\n');
  expect(stdout).toContain('Memory Hole     : 0x0000000000000000\n');
  expect(stdout).toContain('Total pages     : 0x0000000000000200\n');
  expect(stdout).toMatch(/STEP \[Copying data {15}\] : \d+\.\d{6} seconds/);
});

describe('wrong usage exits 1 and touches nothing', () => {
  test.each([[['--bogus', 'x', 'y']], [['-d', '99', 'x', 'y']], [['-l']]])('%j', (argv) => {
    const { status, stderr, stdout } = run(...argv);
    expect(status).toBe(1);
    expect(stderr).toContain('Commandline parameter is invalid.');
    expect(stdout).toContain('makedumpfile Failed.');
  });

  test('--check-params only checks', () => {
    const good = run('--check-params', '-c', '-d', '31', core, at('never'));
    expect([good.status, good.stdout, good.stderr]).toEqual([0, '', '']);
    expect(existsSync(at('never'))).toBe(false);
    const bad = run('--check-params', '-c', '-d', '32', core, at('never'));
    expect([bad.status, bad.stdout]).toEqual([1, '']);
  });
});

test('a failure is one clear sentence on stderr, and the end says Failed', () => {
  const { status, stdout, stderr } = run(core, at('no/such/directory'));
  expect(status).toBe(1);
  expect(stderr).toContain(`${at('no/such/directory')}: the directory does not exist\n`);
  expect(stdout).toBe('\nmakedumpfile Failed.\n');
});

test('--dump-dmesg says what is missing, and leaves no file', () => {
  const { status, stderr } = run('--dump-dmesg', core, at('log'));
  expect(status).toBe(1);
  expect(stderr).toContain('VMCOREINFO has no SYMBOL(prb)');
  expect(existsSync(at('log'))).toBe(false);
});

test('help and version exit 0', () => {
  expect(run('-h')).toMatchObject({ status: 0, stdout: expect.stringContaining('--dump-dmesg') });
  expect(run('-v').stdout).toMatch(
    /^makedumpfile: kdump-tools version .*\nzlib\tenabled\nlzo\tenabled\nzstd\tenabled\n$/,
  );
  expect(run('-v').status).toBe(0);
});
