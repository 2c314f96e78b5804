// The lab's own parts that can be seen to work without crashing a kernel.
import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { debianMirrors } from './lab/apt-sources.ts';
import { cached, contentHash, withLock, withTemporaryDirectory } from './lab/cache.ts';
import { Console } from './lab/console.ts';
import { makeDisk, readDisk } from './lab/disk.ts';
import { kernelNames, labKernel, peer } from './lab/lab.ts';
import { run } from './lab/process.ts';

describe('the mirrors of a machine', () => {
  const vendor = 'deb [signed-by=/usr/share/keyrings/vendor.gpg] https://vendor.example/apt bookworm main\n';

  test('are found in deb822 sources', () => {
    const sources = [
      '# a comment',
      'Types: deb deb-src',
      'URIs: http://mirror.example/debian',
      'Suites: trixie',
      ' trixie-updates',
      'Components: main contrib',
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
      '',
      'Types: deb',
      'URIs: http://mirror.example/debian-security/',
      'Suites: trixie-security',
      'Components: main',
      '',
      'Types: deb',
      'Enabled: no',
      'URIs: http://other.example/debian',
      'Suites: sid',
      'Components: main',
    ].join('\n');
    const files = new Map([
      ['a-vendor.list', vendor],
      ['debian.sources', sources],
    ]);
    expect(debianMirrors(files)).toEqual({
      archive: 'http://mirror.example/debian',
      security: 'http://mirror.example/debian-security/',
    });
  });

  test('are found in one-line sources', () => {
    const list = [
      'deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m.example/debian bookworm main',
      '# deb http://unused.example/debian bookworm main',
      'deb http://m.example/debian bookworm-updates main # for later',
      'deb http://s.example bookworm-security main',
      'deb-src http://src.example/debian bookworm main',
    ].join('\n');
    expect(debianMirrors(new Map([['sources.list', vendor + list]]))).toEqual({
      archive: 'http://m.example/debian',
      security: 'http://s.example',
    });
  });

  test('may be missing', () => {
    expect(debianMirrors(new Map())).toBeUndefined();
    const ours = 'deb http://m.example/debian bookworm main\n';
    expect(debianMirrors(new Map([['sources.list', ours]]))).toEqual({
      archive: 'http://m.example/debian',
      security: undefined,
    });
  });
});

describe('the cache', () => {
  test('makes a thing once, whoever asks', () =>
    withTemporaryDirectory(async (directory) => {
      let made = 0;
      const make = async (incomplete: string) => {
        made++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        writeFileSync(incomplete, 'whole');
      };
      const path = join(directory, 'sub/thing');
      await Promise.all([cached(path, make), cached(path, make), cached(path, make)]);
      expect(made).toBe(1);
      expect(readFileSync(path, 'utf8')).toBe('whole');
      expect(existsSync(`${path}.lock`)).toBe(false);
    }));

  test('keeps nothing of a thing whose making failed', () =>
    withTemporaryDirectory(async (directory) => {
      const path = join(directory, 'thing');
      const failing = cached(path, async (incomplete) => {
        mkdirSync(incomplete);
        throw new Error('no luck');
      });
      await expect(failing).rejects.toThrow('no luck');
      expect(existsSync(path)).toBe(false);
      expect(existsSync(`${path}.incomplete`)).toBe(false);
      expect(await cached(path, async (incomplete) => writeFileSync(incomplete, ''))).toBe(path);
    }));

  test('takes over the lock of a process that died', () =>
    withTemporaryDirectory(async (directory) => {
      const dead = (await run('sh', ['-c', 'echo $$'])).stdout.trim();
      writeFileSync(join(directory, 'a.lock'), dead);
      expect(await withLock(join(directory, 'a'), async () => 'mine')).toBe('mine');
      // Died before it could write its number.
      writeFileSync(join(directory, 'b.lock'), '');
      utimesSync(join(directory, 'b.lock'), 1, 1);
      expect(await withLock(join(directory, 'b'), async () => 'mine')).toBe('mine');
    }));

  test('tells contents apart by their borders too', () => {
    expect(contentHash(['ab', 'c'])).not.toBe(contentHash(['a', 'bc']));
    expect(contentHash(['ab', 'c'])).toBe(contentHash(['ab', Buffer.from('c')]));
  });
});

describe('the console', () => {
  let console: Console;
  beforeEach(() => {
    console = new Console();
  });
  afterEach(() => console.close('the test ended'));

  test('finds lines that come in pieces, each line once', async () => {
    const first = console.waitFor(/again/, 10);
    console.feed('boot\x1b[0m\r\nonce a');
    console.feed('gain\r\nagain\n');
    expect((await first).text).toBe('once again');
    expect((await console.waitFor(/again/, 10)).text).toBe('again');
    expect(console.text()).toBe('boot\nonce again\nagain');
  });

  test('shows its tail when what is waited for does not come', async () => {
    console.feed('the last words\n');
    await expect(console.waitFor(/never/, 0.01)).rejects.toThrow(/did not say \/never\/.*\n.*the last words/);
    const waiting = console.waitFor(/never/, 10);
    console.close('the machine ended');
    await expect(waiting).rejects.toThrow(/the machine ended before .*\n.*the last words/);
    await expect(console.waitFor(/never/, 10)).rejects.toThrow('the machine ended');
  });
});

describe('programs of the host', () => {
  test('are ended when they take too long', async () => {
    await expect(run('sleep', ['60'], { timeout: 50 })).rejects.toThrow('sleep did not finish');
  });

  test('that are missing are named', async () => {
    await expect(run('no-such-program', [])).rejects.toThrow('cannot start no-such-program');
  });
});

test('a disk gives back what was put on it', () =>
  withTemporaryDirectory(async (directory) => {
    const image = join(directory, 'disk.img');
    const bytes = Buffer.alloc(3 * 2 ** 20);
    bytes.write('at the end', bytes.length - 10);
    await makeDisk(image, 64, { 'a/b/text': { text: 'words\n' }, 'a/holes': { bytes } });
    expect(await readDisk(image, '/none', join(directory, 'none'))).toBe(false);
    expect(await readDisk(image, '/a', join(directory, 'copy'))).toBe(true);
    expect(readFileSync(join(directory, 'copy/b/text'), 'utf8')).toBe('words\n');
    expect(readFileSync(join(directory, 'copy/holes')).equals(bytes)).toBe(true);
    expect(statSync(join(directory, 'copy/holes')).blocks * 512).toBeLessThan(2 ** 20);
  }));

test.each(kernelNames)('kernel %s of the archive is there, with its modules', async (name) => {
  const kernel = await labKernel(name);
  expect(kernel.release).toMatch(new RegExp(`^${name.replace('.', '\\.')}\\.\\d+.*-cloud-amd64$`));
  expect(statSync(kernel.vmlinuz).size).toBeGreaterThan(2 ** 20);
  const modules = join(kernel.modulesRoot, 'lib/modules', kernel.release);
  expect(readFileSync(join(modules, 'modules.dep'), 'utf8')).toMatch(/squashfs\.ko/);
  expect(kernel.config.get('CONFIG_KEXEC_FILE')).toBe('y');
});

test('the peers run with their own libraries', async () => {
  const makedumpfile = await peer('makedumpfile');
  expect((await makedumpfile.run(['-v'])).stdout).toContain(
    `version ${/:?(\d+\.\d+\.\d+)/.exec(makedumpfile.version)![1]}`,
  );
  const crash = await peer('crash');
  expect((await crash.run(['--version'])).stdout).toContain('GNU gdb');
});
