import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openKdump, setBits } from '../../helpers/kdump-reader.ts';
import { noisePage, pageSize, writeVmcore } from '../../helpers/vmcore.ts';

const program = fileURLToPath(new URL('../../../bin/makedumpfile', import.meta.url));
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-writer-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs the program with a limit on the size of files: it fails in the middle as on a full disk. */
function dumpWithin(kilobytes: number, core: string, output: string) {
  const script = `ulimit -f ${kilobytes * 2}; exec "$0" "$@"`;
  return spawnSync('sh', ['-c', script, process.execPath, program, '-d', '1', core, output], {
    encoding: 'utf8',
  });
}

test('a dump that runs out of space is readable as far as it goes, marked incomplete, exit 1', () => {
  const core = join(directory, 'core');
  const pages = 1024;
  writeVmcore(core, { pages, content: noisePage });
  const output = join(directory, 'partial');
  const result = dumpWithin(2500, core, output);
  expect(result.status).toBe(1);
  expect(result.stderr).toContain(`${output}: no space left`);
  expect(result.stdout).toContain('makedumpfile Failed.');
  expect(statSync(output).size).toBeLessThanOrEqual(2500 * 1024);

  const file = openKdump(output);
  expect(file.status & 8).toBe(8);
  let there = 0;
  for (const [index, pfn] of setBits(file.bitmap2).entries()) {
    const { offset, size } = file.stored(index);
    if (offset === 0) continue;
    expect(offset + size).toBeLessThanOrEqual(file.size);
    expect(file.page(index).equals(noisePage(pfn)), `page frame ${pfn}`).toBe(true);
    there++;
  }
  // Everything that the limit has room for: headers take 8 blocks and the descriptors 6.
  expect(there).toBe(Math.floor((2500 * 1024 - file.dataOffset - pageSize) / pageSize));
  file.close();
});

test('a disk that has no room for the headers leaves nothing behind', () => {
  const core = join(directory, 'core2');
  writeVmcore(core, { pages: 256 });
  const output = join(directory, 'nothing');
  const result = dumpWithin(8, core, output);
  expect(result.status).toBe(1);
  expect(result.stderr).toContain('no space for the headers');
  expect(() => statSync(output)).toThrow();
});
