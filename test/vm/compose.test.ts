// Every way out of our collector against the C one, as commands: ELF, streams, split sets, refiltering, threads, a disk
// that is too small. What one of the two writes, the other reads.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openKdump, setBits } from '../helpers/kdump-reader.ts';
import { kernelNames, type Peer, peer, rawVmcore } from './lab/lab.ts';

const program = fileURLToPath(new URL('../../bin/makedumpfile', import.meta.url));
const bound = 300_000;

describe.each(kernelNames)('kernel %s', (name) => {
  let vmcore: string;
  let theirs: Peer;
  let directory: string;
  const at = (file: string): string => join(directory, file);
  const same = (a: string, b: string): boolean => readFileSync(at(a)).equals(readFileSync(at(b)));

  beforeAll(async () => {
    vmcore = await rawVmcore(name);
    theirs = await peer('makedumpfile');
    directory = mkdtempSync(join(tmpdir(), 'kdump-compose-'));
    byUs('-l', '-d', '31', vmcore, at('direct'));
    byUs('-z', '-d', '1', vmcore, at('level1'));
    byThem('-l', '-d', '31', vmcore, at('their-direct'));
    byThem('-l', '-d', '1', vmcore, at('their-level1'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** Runs one of the two; a file takes the place of standard input ('<file') or output ('>file'). */
  function execute(command: readonly string[], args: readonly string[]): string {
    const files = args.filter((word) => /^[<>]/.test(word));
    const fds = files.map((word) => openSync(word.slice(1), word.startsWith('<') ? 'r' : 'w'));
    const fdOf = (sign: string) => fds[files.findIndex((word) => word.startsWith(sign))];
    try {
      const rest = [...command.slice(1), ...args.filter((word) => !/^[<>]/.test(word))];
      const { status, stdout, stderr } = spawnSync(command[0]!, rest, {
        stdio: [fdOf('<') ?? 'ignore', fdOf('>') ?? 'pipe', 'pipe'],
        encoding: 'utf8',
        timeout: bound,
      });
      expect(status, `${args.join(' ')}\n${stderr}`).toBe(0);
      return stdout ?? '';
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  }
  const byUs = (...args: string[]): string => execute([process.execPath, program], args);
  const byThem = (...args: string[]): string => execute(theirs.command, ['-f', ...args]);

  test('the two agree on the plain dump', () => {
    expect(same('direct', 'their-direct')).toBe(true);
  });

  test.each([1, 31])('an ELF core of level %d is the same to the byte', (level) => {
    byUs('-E', '-f', '-d', `${level}`, vmcore, at('elf'));
    byThem('-E', '-d', `${level}`, vmcore, at('their-elf'));
    expect(same('elf', 'their-elf')).toBe(true);
  });

  test('an ELF core, filtered again, is what the C tool makes of it', () => {
    byUs('-E', '-d', '16', vmcore, at('elf16'));
    byUs('-l', '-d', '31', at('elf16'), at('from-elf'));
    byThem('-l', '-d', '31', at('elf16'), at('their-from-elf'));
    expect(same('from-elf', 'their-from-elf')).toBe(true);
  });

  test('our stream, rearranged by the C tool, and its stream, by ours', () => {
    byUs('-F', '-l', '-d', '31', vmcore, `>${at('stream')}`);
    byThem('-R', at('by-them'), `<${at('stream')}`);
    expect(same('by-them', 'direct')).toBe(true);
    byThem('-F', '-l', '-d', '31', vmcore, `>${at('their-stream')}`);
    byUs('-R', at('by-us'), `<${at('their-stream')}`);
    expect(same('by-us', 'direct')).toBe(true);
    byUs('-F', '-E', '-d', '31', vmcore, `>${at('elf-stream')}`);
    byThem('-R', at('elf-by-them'), `<${at('elf-stream')}`);
    byUs('-E', '-d', '31', vmcore, at('elf-direct'));
    expect(same('elf-by-them', 'elf-direct')).toBe(true);
  });

  test('streams of both are read without being rearranged', () => {
    for (const by of [byUs, byThem]) {
      by('-F', '-l', '-d', '1', vmcore, `>${at('stream1')}`);
      byUs('-l', '-d', '31', '-f', at('stream1'), at('from-stream'));
      expect(same('from-stream', 'direct')).toBe(true);
    }
  });

  test('our split set, put together by the C tool, and its set, by ours', () => {
    const parts = [at('p1'), at('p2'), at('p3')];
    byUs('--split', '-l', '-d', '31', vmcore, ...parts);
    byThem('--reassemble', ...parts, at('by-them'));
    expect(same('by-them', 'direct')).toBe(true);
    byUs('-l', '-d', '31', ...parts, at('from-parts'));
    expect(same('from-parts', 'direct')).toBe(true);
    const theirParts = [at('t1'), at('t2')];
    byThem('--split', '--splitblock-size', '65536', '-l', '-d', '31', vmcore, ...theirParts);
    byUs('--reassemble', '-f', ...theirParts.toReversed(), at('by-us'));
    expect(same('by-us', 'direct')).toBe(true);
  });

  test('refiltered dumps of both are the direct one', () => {
    byUs('-l', '-d', '31', '-f', at('their-level1'), at('refiltered'));
    expect(same('refiltered', 'direct')).toBe(true);
    byThem('-l', '-d', '31', at('level1'), at('refiltered'));
    expect(same('refiltered', 'direct')).toBe(true);
  });

  test.each([['-l'], ['-z'], ['-c'], ['-p']])('threads make the same dump with %s', (codec) => {
    byUs(codec, '-d', '17', '-f', '--num-threads', '1', vmcore, at('one'));
    byUs(codec, '-d', '17', '-f', '--num-threads', '4', vmcore, at('four'));
    byUs(codec, '-d', '17', '-f', '--cyclic-buffer', '32', '--non-mmap', vmcore, at('small'));
    expect([same('one', 'four'), same('one', 'small')]).toEqual([true, true]);
  });

  test('what is to be erased is erased, by every thread, with nothing but the dump to know types from', () => {
    writeFileSync(
      at('erase.conf'),
      'erase saved_command_line\nfor p in init_task.tasks.next within task_struct:tasks\n  erase p.comm\nendfor\n',
    );
    const erase = ['-l', '-d', '31', '-f', '--config', at('erase.conf')];
    byUs(...erase, '--num-threads', '1', vmcore, at('erased'));
    byUs(...erase, '--num-threads', '4', vmcore, at('erased4'));
    expect(same('erased', 'erased4')).toBe(true);
    const [whole, erased] = [openKdump(at('direct')), openKdump(at('erased'))];
    expect(erased.bitmap2.equals(whole.bitmap2)).toBe(true);
    let changed = 0;
    for (const [index] of setBits(whole.bitmap2).entries()) {
      const [before, after] = [whole.page(index), erased.page(index)];
      if (before.equals(after)) continue;
      changed++;
      for (const [i, byte] of after.entries()) if (byte !== before[i]) expect(byte).toBe(0x58);
    }
    // The names of some tens of tasks.
    expect(changed).toBeGreaterThan(20);
    whole.close();
    erased.close();
    expect(readFileSync(at('erased'), 'latin1')).toContain('erase p.comm size 16\n');
    // Refiltered, it says so still.
    byUs('-z', '-d', '31', '-f', at('erased'), at('erased-again'));
    expect(readFileSync(at('erased-again'), 'latin1')).toContain('erase p.comm size 16\n');
    byUs('-E', '-d', '31', '-f', at('erased'), at('erased-elf'));
    expect(readFileSync(at('erased-elf'), 'latin1')).toContain('erase p.comm size 16\n');
  });

  test('what both wrote is found whole', () => {
    for (const file of ['direct', 'level1', 'their-level1'])
      expect(JSON.parse(byUs('--verify', '--json', at(file)))).toMatchObject({ ok: true, findings: [] });
  });

  test('a limit: what there is, is right', () => {
    const { status } = spawnSync(
      process.execPath,
      [program, '-l', '-d', '31', '-L', '9M', vmcore, at('cut')],
      { encoding: 'utf8' },
    );
    expect(status).toBe(1);
    const cut = openKdump(at('cut'));
    const whole = openKdump(at('direct'));
    expect(cut.status & 8).toBe(8);
    expect(cut.size).toBeLessThanOrEqual(9 * 2 ** 20);
    let there = 0;
    for (const [index] of setBits(cut.bitmap2).entries()) {
      if (cut.stored(index).offset === 0) continue;
      expect(cut.page(index).equals(whole.page(index)), `descriptor ${index}`).toBe(true);
      there++;
    }
    expect(there).toBeGreaterThan(1000);
    cut.close();
    whole.close();
  });

  test('a file system that is full: the next level is tried, or what there is is kept', () => {
    // The size of the file system lies between that of a dump of level 1 and of one of level 31.
    const script = `
      mount -t tmpfs -o size=32m none "$1" && cd "$1" || exit 99
      node=$2; program=$3; vmcore=$4; out=$5
      "$node" "$program" -l -d 1,31 "$vmcore" tried >"$out/messages" || exit 1
      cp tried "$out/tried" && rm tried
      "$node" "$program" -l -d 1 "$vmcore" kept && exit 2
      cp kept "$out/kept"`;
    const mountPoint = mkdtempSync(join(directory, 'full-'));
    const { status, stderr } = spawnSync(
      'unshare',
      [
        '--mount',
        '--map-root-user',
        'sh',
        '-c',
        script,
        'sh',
        mountPoint,
        process.execPath,
        program,
        vmcore,
        directory,
      ],
      { encoding: 'utf8', timeout: bound },
    );
    expect(status, stderr).toBe(0);
    expect(readFileSync(at('messages'), 'utf8')).toContain('trying again at dump level 31');
    expect(same('tried', 'direct')).toBe(true);
    const { status: verified, stdout } = spawnSync(
      process.execPath,
      [program, '--verify', '--json', at('kept')],
      {
        encoding: 'utf8',
      },
    );
    expect(verified).toBe(1);
    const report = JSON.parse(stdout);
    expect(report.pages.whole).toBeGreaterThan(1000);
    byUs('--salvage', at('kept'), at('salvaged'));
    const salvaged = openKdump(at('salvaged'));
    expect(setBits(salvaged.bitmap2)).toHaveLength(report.pages.whole);
    salvaged.close();
  });
});
