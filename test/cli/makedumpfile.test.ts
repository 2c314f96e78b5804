import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
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
const sameFile = (a: string, b: string): boolean => readFileSync(at(a)).equals(readFileSync(at(b)));
/** Runs with a file as standard input or output. */
function runWith(file: string, flags: 'r' | 'w', ...argv: string[]) {
  const fd = openSync(at(file), flags);
  try {
    return spawnSync(process.execPath, [program, ...argv], {
      stdio: flags === 'r' ? [fd, 'pipe', 'pipe'] : ['ignore', fd, 'pipe'],
      encoding: 'utf8',
    });
  } finally {
    closeSync(fd);
  }
}

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
  expect(stderr).toContain('VMCOREINFO describes no kernel log');
  expect(existsSync(at('log'))).toBe(false);
});

test('help and version exit 0', () => {
  expect(run('-h')).toMatchObject({ status: 0, stdout: expect.stringContaining('--dump-dmesg') });
  expect(run('-v').stdout).toMatch(
    /^makedumpfile: kdump-tools version .*\nzlib\tenabled\nlzo\tenabled\nsnappy\tenabled\nzstd\tenabled\n$/,
  );
  expect(run('-v').status).toBe(0);
});

describe('outputs are one dump in different clothes', () => {
  beforeAll(() => {
    expect(run('-l', '-d', '31', core, at('direct')).status).toBe(0);
  });

  test('a flattened stream, rearranged', () => {
    const streamed = runWith('stream', 'w', '-F', '-l', '-d', '31', core);
    expect(streamed.stderr).toContain('The dumpfile is saved to STDOUT.');
    expect(runWith('stream', 'r', '-R', at('rearranged')).status).toBe(0);
    expect(sameFile('rearranged', 'direct')).toBe(true);
  });

  test('a stream that breaks off is saved as far as it goes, and said to', () => {
    runWith('broken', 'w', '-F', '-l', '-d', '31', core);
    truncateSync(at('broken'), readFileSync(at('broken')).length - 20_000);
    const { status, stderr } = runWith('broken', 'r', '-R', at('from-broken'));
    expect(status).toBe(1);
    expect(stderr).toContain('stream');
    expect(run('--salvage', at('broken'), at('salvaged')).status).toBe(0);
    expect(run('--verify', at('salvaged')).stdout).toContain('incomplete');
  });

  test('a split set, reassembled, and read as it is', () => {
    expect(run('--split', '-l', '-d', '31', core, at('p1'), at('p2'), at('p3')).stdout).toContain(
      `The dumpfiles are saved to ${at('p1')}, ${at('p2')}, and ${at('p3')}.`,
    );
    expect(run('--reassemble', at('p3'), at('p1'), at('p2'), at('whole')).status).toBe(0);
    expect(sameFile('whole', 'direct')).toBe(true);
    expect(run('-l', '-d', '31', at('p1'), at('p2'), at('p3'), at('from-parts')).status).toBe(0);
    expect(sameFile('from-parts', 'direct')).toBe(true);
    const { status, stderr } = run('--reassemble', at('p1'), at('p3'), at('hole'));
    expect([status, existsSync(at('hole'))]).toEqual([1, false]);
    expect(stderr).toContain('p3');
  });

  test('refiltered, from a dump and from a stream', () => {
    expect(run('-z', '-d', '1', core, at('level1')).status).toBe(0);
    const { stdout } = run('-l', '-d', '30', at('level1'), at('refiltered'));
    expect(stdout).toContain('dump_level is changed to 31, because');
    expect(sameFile('refiltered', 'direct')).toBe(true);
    runWith('stream1', 'w', '-F', '-c', '-d', '1', core);
    expect(run('-l', '-d', '31', at('stream1'), at('from-stream')).status).toBe(0);
    expect(sameFile('from-stream', 'direct')).toBe(true);
  });

  test('an ELF core, filtered again', () => {
    expect(run('-E', '-d', '16', '--num-threads', '2', core, at('elf')).status).toBe(0);
    expect(run('-l', '-d', '31', at('elf'), at('from-elf')).status).toBe(0);
    expect(run('--verify', at('from-elf')).status).toBe(0);
  });

  test('by threads, in small cycles, without mapping', () => {
    for (const [i, more] of [
      ['--num-threads', '3'],
      ['--cyclic-buffer', '32'],
      ['--non-mmap', '-b', '2', '--work-dir', '/tmp'],
    ].entries()) {
      expect(run('-l', '-d', '31', ...more, core, at(`variant${i}`)).status).toBe(0);
      expect(sameFile(`variant${i}`, 'direct')).toBe(true);
    }
  });

  test('verified; a flipped byte is found and named', () => {
    expect(run('--verify', at('direct'))).toMatchObject({ status: 0 });
    const bytes = readFileSync(at('direct'));
    bytes[bytes.length - 100]! ^= 0xff;
    writeFileSync(at('flipped'), bytes);
    const { status, stdout } = run('--verify', '--json', at('flipped'));
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, findings: [{ count: 1 }] });
  });
});

test('--dry-run writes nothing and counts all the same', () => {
  const { status, stdout } = run('--dry-run', '--json', '-l', '-d', '31', core, at('dry'));
  expect(status).toBe(0);
  expect(existsSync(at('dry'))).toBe(false);
  const report = JSON.parse(stdout);
  const real = JSON.parse(run('--json', '-l', '-d', '31', core, at('wet')).stdout);
  expect(report.pages).toEqual(real.pages);
  expect(report.bytes).toBe(real.bytes);
});

test('too little space at one level, enough at the next', () => {
  const { status, stdout } = run('-d', '0,1', '-L', '1900K', core, at('limited'));
  expect(stdout).toContain('trying again at dump level 1');
  expect(status).toBe(0);
  expect(run('--verify', at('limited')).status).toBe(0);
  expect(run('-d', '0', '-L', '1900K', core, at('cut')).status).toBe(1);
  expect(run('--verify', at('cut')).stdout).toContain('incomplete');
});

test('--explain tells why a page is not there', () => {
  const { status, stdout } = run('--explain', '128', core);
  expect(status).toBe(0);
  expect(stdout).toContain('free');
  const json = JSON.parse(run('--explain', '130', '--json', '-d', '1', core).stdout);
  expect(json).toMatchObject({ pfn: 130, kept: true, block: { kind: 'free', head: 128, order: 4 } });
});

test('an error as JSON', () => {
  const { status, stdout } = run('--json', '-l', at('absent'), at('x'));
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: 'open-failed' });
});
