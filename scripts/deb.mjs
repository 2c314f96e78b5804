// Builds the Debian package from the bundles in dist/: deb.mjs [--dist DIR] [--out DIR]. Equal input gives equal bytes:
// files are in order, owned by root, and as old as the newest entry of packaging/changelog.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({ options: { dist: { type: 'string' }, out: { type: 'string' } } });
const dist = options.dist ?? join(root, 'dist');
const out = options.out ?? join(root, 'dist');

const name = 'kdump-tools-ts';
const { version } = JSON.parse(read('package.json'));
const architecture = { x64: 'amd64', arm64: 'arm64', ppc64: 'ppc64el', s390x: 's390x', riscv64: 'riscv64' }[
  process.arch
];
const changelog = read('packaging/changelog');
const [, changed, date] = /^\S+ \((\S+)\)[\s\S]*?^ -- .*? {2}(.*)$/m.exec(changelog);
if (changed !== version)
  throw new Error(`packaging/changelog begins with ${changed}, package.json says ${version}`);
const epoch = Date.parse(date) / 1000;

const directory = mkdtempSync(join(tmpdir(), 'kdump-deb-'));
const tree = join(directory, 'tree');
try {
  fill(await crashkernel());
  const files = list(tree).filter((path) => lstatSync(join(tree, path)).isFile());
  const control = join(tree, 'DEBIAN');
  const kib = list(tree).reduce(
    (sum, path) => sum + Math.max(1, Math.ceil(lstatSync(join(tree, path)).size / 1024)),
    0,
  );
  put('DEBIAN/control', fillIn(read('packaging/control'), { version, architecture, 'installed-size': kib }));
  put(
    'DEBIAN/conffiles',
    files
      .filter((path) => path.startsWith('etc/'))
      .map((path) => `/${path}\n`)
      .join(''),
  );
  put(
    'DEBIAN/md5sums',
    files
      .filter((path) => !path.startsWith('etc/'))
      .map((path) => `${md5(path)}  ${path}\n`)
      .join(''),
  );
  for (const script of ['postinst', 'prerm', 'postrm'])
    put(`DEBIAN/${script}`, read(`packaging/${script}`), 0o755);
  for (const path of ['', ...list(tree)]) lutimesSync(join(tree, path), epoch, epoch);
  chmodSync(control, 0o755);

  mkdirSync(out, { recursive: true });
  const deb = join(out, `${name}_${version}_${architecture}.deb`);
  const built = spawnSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, deb], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(`dpkg-deb: ${built.error?.message ?? built.stderr}`);
  console.log(`built ${relative(process.cwd(), deb)}`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Puts everything in its place below the tree. */
function fill(crashkernel) {
  const lib = 'usr/lib/kdump-tools';
  const commands = { kdumpctl: 'sbin', kexec: 'sbin', mkdumprd: 'sbin', makedumpfile: 'bin' };
  for (const [command, bin] of Object.entries(commands)) {
    // Debian's node, whatever is first in the PATH of who calls.
    put(
      `${lib}/${command}.mjs`,
      `#!/usr/bin/node\n${readFileSync(join(dist, `${command}.mjs`), 'utf8')}`,
      0o755,
    );
    link(`usr/${bin}/${command}`, `../lib/kdump-tools/${command}.mjs`);
  }
  for (const file of ['capture.mjs', 'crash-report.mjs', 'dump-worker.mjs', 'koffi.node'])
    copy(join(dist, file), `${lib}/${file}`);

  copyAll('systemd', 'usr/lib/systemd/system', /\.(service|timer|path|target)$/);
  copyAll('systemd', 'usr/lib/systemd/system-generators', /-generator$/);
  copyAll('udev', 'usr/lib/udev/rules.d', /\.rules$/);
  copyAll('dracut', 'usr/lib/dracut/modules.d');
  copyAll('initramfs-tools', 'usr/share/initramfs-tools');
  copyAll('ssh', lib);
  copyAll('completions', 'usr/share/bash-completion/completions');
  copyAll('systemd', `usr/share/doc/${name}/examples`, /\.default$/);

  for (const page of readdirSync(join(root, 'man'))) {
    put(`usr/share/man/man${page.at(-1)}/${page}.gz`, packed(read(`man/${page}`)));
  }
  put(`usr/share/doc/${name}/changelog.gz`, packed(changelog));
  put(`usr/share/doc/${name}/copyright`, read('packaging/copyright'));
  copy(join(root, 'README.md'), `usr/share/doc/${name}/README.md`);
  put('etc/default/grub.d/kdump-tools.cfg', fillIn(read('packaging/grub.cfg'), { crashkernel }));
  mkdirSync(join(tree, 'var/lib/kdump'), { recursive: true });
  for (const path of list(tree))
    if (lstatSync(join(tree, path)).isDirectory()) chmodSync(join(tree, path), 0o755);
  chmodSync(tree, 0o755);
  chmodSync(join(tree, 'var/lib/kdump'), 0o700);
}

/** What kdumpctl get-default-crashkernel says on a plain machine of this architecture. */
async function crashkernel() {
  const outfile = join(directory, 'crashkernel.mjs');
  const entry = join(root, 'src/kdump/service/crashkernel.ts');
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
  });
  const { defaultCrashkernel } = await import(pathToFileURL(outfile).href);
  const arch = { x64: 'x86_64', arm64: 'aarch64', ppc64: 'ppc64le' }[process.arch] ?? process.arch;
  const plain = { pageSize: 4096, memoryEncryption: false, smmu: false, mlx5: false, cpus: 1 };
  return defaultCrashkernel({ arch, ...plain }) ?? '256M';
}

function put(path, content, mode = 0o644) {
  const target = join(tree, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
  // Whatever the umask.
  chmodSync(target, mode);
}

function link(path, target) {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  symlinkSync(target, join(tree, path));
}

function copy(from, path) {
  put(path, readFileSync(from), lstatSync(from).mode & 0o100 ? 0o755 : 0o644);
}

/** Everything in a directory of the project, or what of it has such a name. */
function copyAll(from, to, pattern = /./) {
  if (!existsSync(join(root, from))) return;
  for (const path of list(join(root, from))) {
    const source = join(root, from, path);
    if (lstatSync(source).isFile() && pattern.test(path)) copy(source, join(to, path));
  }
}

/** What lies below a directory, in order. */
function list(top) {
  return readdirSync(top, { recursive: true }).sort();
}

function read(path) {
  return readFileSync(join(root, path), 'utf8');
}

function packed(text) {
  return gzipSync(text, { level: 9 });
}

function md5(path) {
  return createHash('md5')
    .update(readFileSync(join(tree, path)))
    .digest('hex');
}

function fillIn(text, values) {
  return Object.entries(values).reduce(
    (filled, [key, value]) => filled.replaceAll(`@${key}@`, String(value)),
    text,
  );
}
