// A real browser that draws our pages: Debian's headless Chromium in a tree of its own, run inside that tree, with nothing
// of the host's but devices and processes, and without a network.
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withTemporaryDirectory } from './cache.ts';
import { newest, type Suite, unpacked } from './packages.ts';
import { check } from './process.ts';

const suites: readonly Suite[] = ['trixie'];
/** Mounts are this process's own. The tree itself stays as it is: a root of links and mounts is made around it. */
const inTree = [
  'set -e',
  'tree=$1; work=$2; root=$2/root; shift 2',
  'mkdir "$root"; mount -t tmpfs tmpfs "$root"',
  'mkdir "$root/usr" "$root/etc" "$root/dev" "$root/proc" "$root/tmp" "$root/mnt"',
  'ln -s usr/lib usr/lib64 usr/bin usr/sbin "$root"',
  'mount --bind "$tree/usr" "$root/usr"; mount --bind "$tree/etc" "$root/etc"; mount --bind "$work" "$root/mnt"',
  'mount --rbind /dev "$root/dev"; mount -t proc proc "$root/proc"',
  'HOME=/tmp exec chroot "$root" "$@"',
].join('\n');

export type Drawn = {
  /** The document as the browser understood it. */
  readonly dom: string;
  /** PNG. */
  readonly picture: Buffer;
  /** What the browser complained of. */
  readonly messages: string;
};

/** Draws a page. @param dark whether the reader wants dark colours */
export async function drawPage(
  path: string,
  options: { dark?: boolean; width?: number } = {},
): Promise<Drawn> {
  const tree = await unpacked(suites, await newest(suites, 'chromium-headless-shell'), false);
  return withTemporaryDirectory(async (directory) => {
    copyFileSync(path, join(directory, 'page.html'));
    const draw = (what: readonly string[]): Promise<string> => {
      rmSync(join(directory, 'root'), { recursive: true, force: true });
      return check(
        'unshare',
        [
          ...[
            '--map-root-user',
            '--mount',
            '--pid',
            '--fork',
            '--net',
            'sh',
            '-c',
            inTree,
            'sh',
            tree,
            directory,
          ],
          ...['/usr/lib/chromium/chromium-headless-shell', '--no-sandbox', '--disable-gpu'],
          ...['--enable-logging=stderr', `--window-size=${options.width ?? 1000},2400`, '--timeout=20000'],
          ...(options.dark
            ? ['--blink-settings=preferredColorScheme=0']
            : ['--blink-settings=preferredColorScheme=1']),
          ...what,
          'file:///mnt/page.html',
        ],
        { timeout: 120_000 },
      );
    };
    const dom = await draw(['--dump-dom']);
    const messages = await draw(['--screenshot=/mnt/page.png']);
    return { dom, picture: readFileSync(join(directory, 'page.png')), messages };
  });
}
