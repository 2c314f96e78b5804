// Dumps that the C tool made, read, checked, put together and saved by ours; and what ours saved, read by the C tools.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../src/dump/input/open.ts';
import type { DumpSource } from '../../src/dump/input/source.ts';
import { openFileSink } from '../../src/dump/output/file-sink.ts';
import { reassemble } from '../../src/dump/reassemble.ts';
import { type SalvageReport, salvage } from '../../src/dump/salvage.ts';
import { verify } from '../../src/dump/verify.ts';
import { PageBitmap } from '../../src/lib/bitmap.ts';
import { openKdump, setBits } from '../helpers/kdump-reader.ts';
import { random } from '../helpers/mutate.ts';
import { kernelNames, type Peer, peer, rawVmcore } from './lab/lab.ts';

const pageSize = 4096;
const quiet = () => {};
const toFile = (path: string) => openFileSink(path, { overwrite: true });

describe.each(kernelNames)('kernel %s', (name) => {
  let vmcore: string;
  let theirs: Peer;
  let directory: string;
  const at = (file: string): string => join(directory, file);

  beforeAll(async () => {
    vmcore = await rawVmcore(name);
    theirs = await peer('makedumpfile');
    directory = mkdtempSync(join(tmpdir(), 'kdump-finished-'));
    await dump('-l', '-d', '31', vmcore, at('lzo'));
    await dump('-z', '-d', '31', vmcore, at('zstd'));
    await dump('-c', '-d', '31', vmcore, at('zlib'));
    await dump('-l', '-d', '1', vmcore, at('level1'));
    await dump('-l', '-d', '1', '--splitblock-size', '64', '--split', vmcore, at('a'), at('b'), at('c'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const run = (...args: string[]) =>
    theirs.run(['--message-level', '0', '-f', ...args], { timeout: 300_000 });
  const dump = async (...args: string[]): Promise<void> => {
    const { status, stderr } = await run(...args);
    expect(status, stderr).toBe(0);
  };

  /** Every page of a dump that an independent reader finds, and no other. */
  function expectPages(source: DumpSource, reference: string): void {
    const expected = openKdump(reference);
    const frames = setBits(expected.bitmap2);
    const kept = new PageBitmap(source.maxPfn(pageSize));
    source.markPresent(kept, pageSize);
    source.clearMissing(kept, pageSize);
    expect(kept.count()).toBe(frames.length);
    const reader = source.pages(pageSize, kept);
    const different = frames.filter(
      (pfn, index) =>
        reader.load(pfn) !== undefined ||
        expected.page(index).compare(reader.bytes, reader.at, reader.at + pageSize) !== 0,
    );
    expect(different).toEqual([]);
    expected.close();
    source.close();
  }

  test.each(['lzo', 'zstd', 'zlib', 'level1'])(
    '%s: every page is read right, and nothing is wrong with it',
    (file) => {
      expectPages(openSource([at(file)]), at(file));
      const report = verify([at(file)], quiet);
      expect(report.findings).toEqual([]);
      expect(report.pages.whole).toBe(report.pages.stored);
    },
  );

  test('a split set is read as one dump, and put together is the one that was not split', () => {
    const parts = [at('c'), at('a'), at('b')];
    expectPages(openSource(parts), at('level1'));
    expect(verify(parts, quiet).findings).toEqual([]);
    const sink = toFile(at('together'));
    reassemble(parts, sink, quiet);
    sink.close();
    expect(readFileSync(at('together')).equals(readFileSync(at('level1')))).toBe(true);
  });

  test('a flattened stream is read where it lies, and what is left of one becomes a dump', () => {
    const [program, ...args] = [...theirs.command, '--message-level', '0', '-F', '-l', '-d', '31', vmcore];
    const fd = openSync(at('stream'), 'w');
    const { status } = spawnSync(program!, args, { stdio: ['ignore', fd, 'ignore'], timeout: 300_000 });
    closeSync(fd);
    expect(status).toBe(0);
    expectPages(openSource([at('stream')]), at('lzo'));
    expect(verify([at('stream')], quiet)).toMatchObject({ ok: true, flattened: true });

    truncateSync(at('stream'), 15_000_000);
    expect(() => openSource([at('stream')])).toThrow(/inside the record/);
    const report = save('stream');
    expect(report.problems).toHaveLength(1);
    expect(report.pages.kept).toBeGreaterThan(1000);
    expectIncomplete();
  });

  /** Salvages a file to `saved`. */
  function save(file: string): SalvageReport {
    const sink = toFile(at('saved'));
    const report = salvage([at(file)], sink, quiet);
    sink.close();
    return report;
  }

  /** The dump that was saved is a right one, but for the note that pages are missing. */
  function expectIncomplete(): void {
    const { findings, pages } = verify([at('saved')], quiet);
    expect(findings.map(({ kind }) => kind)).toEqual(['incomplete']);
    expect(pages.whole).toBe(pages.stored);
  }

  test('a dump that met a limit has its first pages', async () => {
    await run('-l', '-d', '1', '-L', '20971520', vmcore, at('limited'));
    const report = save('limited');
    const { findings, pages } = verify([at('limited')], quiet);
    expect(findings.map(({ kind }) => kind)).toEqual(['incomplete', 'never-written']);
    expect(report.pages).toEqual({ kept: pages.whole, lost: pages.stored - pages.whole });
    expectIncomplete();
  });

  test('damaged pages are found; without them the C tools read the dump', async () => {
    copyFileSync(at('level1'), at('hurt'));
    const next = random(3);
    const { size } = statSync(at('hurt'));
    const fd = openSync(at('hurt'), 'r+');
    // User data, most likely: not where the kernel's own tables are.
    for (let n = 0; n < 100; n++)
      writeSync(fd, Buffer.alloc(16, n), 0, 16, Math.floor(size * 0.3) + next(size / 2));
    closeSync(fd);
    const lost = verify([at('hurt')], quiet).findings.reduce((sum, { count }) => sum + count, 0);
    expect(lost).toBeGreaterThan(0);
    expect(save('hurt').pages.lost).toBe(lost);
    expectIncomplete();

    await dump('-l', '-d', '1', at('saved'), at('copied'));
    expectPages(openSource([at('saved')]), at('copied'));
    const crash = await peer('crash');
    const { stdout } = await crash.run(['--osrelease', at('saved')]);
    expect(stdout.trim()).toBe(openedRelease());
  });

  const openedRelease = (): string => {
    const source = openSource([vmcore]);
    source.close();
    return source.vmcoreinfo!.osrelease!;
  };

  test('an ELF core that ends early is one that the C tools read', async () => {
    copyFileSync(vmcore, at('cut'));
    truncateSync(at('cut'), statSync(vmcore).size - 5000);
    const refused = await run('-l', '-d', '1', at('cut'), at('copied'));
    expect(refused.status).not.toBe(0);
    expect(save('cut').pages.lost).toBe(2);
    expectIncomplete();
    await dump('-l', '-d', '1', at('saved'), at('copied'));
  });
});
