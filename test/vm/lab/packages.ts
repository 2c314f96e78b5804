// Packages of any release of Debian, and of Ubuntu where Debian has none of a kind, on any Debian host, without touching
// the host's own apt: a private state with its own lists and an empty list of installed packages. Packages are downloaded
// and unpacked, never installed.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../../src/lib/errors.ts';
import { type DebianMirrors, debianMirrors } from './apt-sources.ts';
import { cached, cachePath, withLock, withTemporaryDirectory } from './cache.ts';
import { check } from './process.ts';

export type Suite =
  | 'bullseye'
  | 'bullseye-security'
  | 'bookworm'
  | 'bookworm-security'
  | 'trixie'
  | 'trixie-backports'
  | 'trixie-security'
  | 'sid'
  | 'experimental'
  | UbuntuSuite;
type UbuntuSuite = 'jammy-updates' | 'noble-updates';

/** What a look-up in the archive says of a package. */
export type PackageVersion = { name: string; version: string; depends: string };

const aDay = 24 * 3600_000;
const keyrings = ['debian-archive-keyring.gpg', 'debian-archive-keyring.pgp'];
const ubuntuSuites: readonly Suite[] = ['jammy-updates', 'noble-updates'];
const ubuntuArchive = 'http://archive.ubuntu.com/ubuntu';

/**
 * Newest version of a package in suites of one release. Asked of the archive once a day; between, and when the
 * archive cannot be reached, the last answer holds.
 */
export function newest(suites: readonly Suite[], name: string): Promise<PackageVersion> {
  return lookUp(suites, name, (config) => show(suites, config, name));
}

/**
 * The package whose name has the highest numbers, of those that a pattern matches: for kernels, of which each version
 * is a package of its own and old series have no package that depends on the newest.
 * @param pattern POSIX regular expression, as apt-cache takes it
 */
export function newestMatching(suites: readonly Suite[], pattern: string): Promise<PackageVersion> {
  return lookUp(suites, pattern.replace(/[^\w.+-]/g, ''), async (config) => {
    const found = await check('apt-cache', ['-c', config, 'search', '--names-only', pattern]);
    const names = found.split('\n').map((line) => line.split(' ')[0]!);
    const highest = names
      .filter((name) => name !== '')
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      .at(-1);
    if (highest === undefined) {
      throw new KdumpError('lab-package', `${suites.join(' and ')} have no package like ${pattern}`);
    }
    return show(suites, config, highest);
  });
}

async function show(suites: readonly Suite[], config: string, name: string): Promise<PackageVersion> {
  const shown = await check('apt-cache', ['-c', config, 'show', '--no-all-versions', name]);
  const field = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(shown)?.[1] ?? '';
  const found = { name, version: field('Version'), depends: field('Depends') };
  if (found.version === '') {
    throw new KdumpError('lab-package', `${suites.join(' and ')} have no package ${name}`);
  }
  return found;
}

async function lookUp(
  suites: readonly Suite[],
  what: string,
  ask: (config: string) => Promise<PackageVersion>,
): Promise<PackageVersion> {
  const record = cachePath('newest', `${suites.join('+')}-${what}.json`);
  if (isFresh(record)) return JSON.parse(readFileSync(record, 'utf8')) as PackageVersion;
  try {
    const found = await ask(await aptState(suites));
    mkdirSync(dirname(record), { recursive: true });
    writeFileSync(record, JSON.stringify(found));
    return found;
  } catch (error) {
    if (!existsSync(record)) throw error;
    return JSON.parse(readFileSync(record, 'utf8')) as PackageVersion;
  }
}

/**
 * Directory with the contents of a package, downloaded and unpacked when the cache lacks this version.
 * @param alone without the packages it depends on; otherwise all of them are unpacked into the same tree, so that the
 *   program in it needs nothing of the host.
 * @param beside names of packages that are unpacked into the same directory
 */
export async function unpacked(
  suites: readonly Suite[],
  wanted: Pick<PackageVersion, 'name' | 'version'>,
  alone: boolean,
  beside: readonly string[] = [],
): Promise<string> {
  const kind = alone ? 'packages' : 'trees';
  const directory = cachePath(kind, `${wanted.name}_${wanted.version.replaceAll(':', '%3a')}`);
  return cached(directory, async (incomplete) => {
    const config = await aptState(suites);
    const precise = `${wanted.name}=${wanted.version}`;
    await withTemporaryDirectory(async (downloads) => {
      if (alone) {
        await check('apt-get', ['-c', config, 'download', precise, ...beside], {
          cwd: downloads,
          timeout: 600_000,
        });
      } else {
        mkdirSync(join(downloads, 'partial'));
        const options = ['-o', `Dir::Cache::archives=${downloads}`, '--yes', '--no-install-recommends'];
        await check('apt-get', ['-c', config, ...options, '--download-only', 'install', precise, ...beside], {
          timeout: 600_000,
        });
      }
      const archives = readdirSync(downloads).filter((file) => file.endsWith('.deb'));
      mkdirSync(incomplete, { recursive: true });
      for (const archive of archives.sort()) {
        await check('dpkg-deb', ['-x', join(downloads, archive), incomplete], { timeout: 300_000 });
      }
    });
  });
}

function isFresh(path: string): boolean {
  return existsSync(path) && Date.now() - statSync(path).mtimeMs < aDay;
}

/**
 * Private apt state for suites; its lists are at most a day old.
 * @returns path of the configuration file to give to apt-get and apt-cache by `-c`.
 */
async function aptState(suites: readonly Suite[]): Promise<string> {
  const directory = cachePath('apt', suites.join('+'));
  const config = join(directory, 'apt.conf');
  const updated = join(directory, 'updated');
  return withLock(directory, async () => {
    if (isFresh(updated) && existsSync(config)) return config;
    const mirrors = hostMirrors();
    const ubuntu = isUbuntu(suites) ? await ubuntuKeyring() : undefined;
    const update = async (security: string | undefined) => {
      rmSync(directory, { recursive: true, force: true });
      for (const each of ['state/lists/partial', 'cache/archives/partial', 'log']) {
        mkdirSync(join(directory, each), { recursive: true });
      }
      const sources = suites.map((suite) => sourceLine(suite, { ...mirrors, security }, ubuntu)).join('');
      writeFileSync(join(directory, 'sources.list'), sources);
      writeFileSync(join(directory, 'status'), '');
      writeFileSync(config, aptConfig(directory));
      await check('apt-get', ['-c', config, 'update', '--error-on=any'], { timeout: 600_000 });
    };
    const wantsSecurity = suites.some((suite) => suite.endsWith('-security'));
    if (wantsSecurity && mirrors.security === undefined) {
      // A minimal system names only the main archive; its mirror most often has the other one beside it.
      const beside = mirrors.archive.replace(/\/debian\/?$/, '/debian-security');
      await update(beside === mirrors.archive ? undefined : beside).catch(() => update(undefined));
    } else {
      await update(mirrors.security);
    }
    writeFileSync(updated, '');
    return config;
  });
}

/** The host's own apt.conf (proxies, timeouts) stays in force under this one; only state and sources are ours. */
function aptConfig(directory: string): string {
  return [
    `Dir::State "${directory}/state";`,
    `Dir::State::status "${directory}/status";`,
    `Dir::Cache "${directory}/cache";`,
    `Dir::Log "${directory}/log";`,
    `Dir::Etc::sourcelist "${directory}/sources.list";`,
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferences "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    // The user who runs apt owns these directories; apt's own user may not even reach them.
    'APT::Sandbox::User "root";',
    'Acquire::Retries "3";',
    // A mirror that stands still is as good as any for programs that are only compared with; signatures still count.
    'Acquire::Check-Valid-Until "false";',
    'Acquire::Languages "none";',
    'APT::Get::List-Cleanup "true";',
    // Hooks of the host (a container's clean-up, a desktop's notifier) are for the host's own state.
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear APT::Update::Pre-Invoke;',
    '',
  ].join('\n');
}

/** A line of sources.list; empty for a security suite when no archive of that kind is known. */
function sourceLine(suite: Suite, mirrors: DebianMirrors, ubuntuKeys: string | undefined): string {
  if (ubuntuKeys !== undefined) return `deb [signed-by=${ubuntuKeys}] ${ubuntuArchive} ${suite} main\n`;
  const keyring = keyrings.map((name) => `/usr/share/keyrings/${name}`).find((path) => existsSync(path));
  if (keyring === undefined) {
    throw new KdumpError('lab-keyring', 'no Debian archive keyring in /usr/share/keyrings', {
      fix: 'apt-get install debian-archive-keyring',
    });
  }
  const uri = suite.endsWith('-security') ? mirrors.security : mirrors.archive;
  return uri === undefined ? '' : `deb [signed-by=${keyring}] ${uri} ${suite} main\n`;
}

const isUbuntu = (suites: readonly Suite[]): boolean => suites.some((suite) => ubuntuSuites.includes(suite));

/** The keys that sign Ubuntu's archive, in a package that Debian signs. */
async function ubuntuKeyring(): Promise<string> {
  const debian: readonly Suite[] = ['trixie'];
  const tree = await unpacked(debian, await newest(debian, 'ubuntu-keyring'), true);
  return join(tree, 'usr/share/keyrings/ubuntu-archive-keyring.gpg');
}

function hostMirrors(): DebianMirrors {
  const mirrors = debianMirrors(hostSources());
  if (mirrors === undefined) {
    throw new KdumpError('lab-mirror', 'no Debian archive among the sources in /etc/apt', {
      fix: 'the lab takes the mirror from /etc/apt/sources.list or /etc/apt/sources.list.d: name one there',
    });
  }
  return mirrors;
}

function hostSources(): Map<string, string> {
  const files = new Map<string, string>();
  if (existsSync('/etc/apt/sources.list')) {
    files.set('sources.list', readFileSync('/etc/apt/sources.list', 'utf8'));
  }
  const parts = '/etc/apt/sources.list.d';
  for (const name of existsSync(parts) ? readdirSync(parts) : []) {
    if (/\.(list|sources)$/.test(name)) files.set(name, readFileSync(join(parts, name), 'utf8'));
  }
  return files;
}
