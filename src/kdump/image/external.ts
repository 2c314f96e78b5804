import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { compressionOf, unpack } from '../../system/decompress.ts';
import { findProgram, runOrThrow } from '../../system/processes.ts';
import type { CaptureHandover } from './capture-tree.ts';
import type { Gathered } from './gather.ts';
import { openModuleTree, resolveFromTree } from './modules.ts';
import { listNodeTree } from './node-tree.ts';
import type { ImageRecipe, ImageSite } from './own.ts';
import { carryCapture } from './settings.ts';

export type ExternalBuilder = 'dracut' | 'initramfs-tools';

/** What every one of them is asked for, in a directory that only root can look into. */
type Order = {
  readonly directory: string;
  /** Path of the handover. */
  readonly handover: string;
  readonly output: string;
  readonly release: string;
  readonly modulesRoot: string;
  /** Names of modules, each after those that it needs. */
  readonly modules: readonly string[];
  readonly programs: readonly string[];
  /** mkdumprd, in words. */
  readonly mkdumprd: readonly [string, ...string[]];
  readonly args: readonly string[];
};

type Builder = {
  readonly program: string;
  /** Names of the package, for who does not have it. */
  readonly install: string;
  /** Files and directories of this machine that decide what it builds; nothing of its configuration is among them. */
  readonly sources: readonly string[];
  run(program: string, order: Order): void;
};

/** Minutes are normal on a slow machine. */
const buildBound = 1200;

const builders: Readonly<Record<ExternalBuilder, Builder>> = {
  dracut: {
    program: 'dracut',
    install: 'Install the package dracut-core (dracut).',
    sources: [
      '/usr/lib/dracut/modules.d/99kdump-tools',
      ...['/etc/fstab', '/etc/crypttab', '/etc/lvm/lvm.conf', '/etc/mdadm.conf', '/etc/multipath.conf'],
    ],
    run: runDracut,
  },
  'initramfs-tools': {
    program: 'mkinitramfs',
    install: 'Install the package initramfs-tools.',
    sources: [
      '/usr/share/initramfs-tools/hooks/kdump-tools',
      '/etc/fstab',
      '/etc/crypttab',
      '/etc/lvm/lvm.conf',
    ],
    run: runMkinitramfs,
  },
};

/**
 * Plans an image that another program builds, with our capture in it. What that program puts in is its own affair: the
 * image counts as the same while its kernel, our parts and the tables of file systems are the same.
 * @throws KdumpError `no-program`
 */
export function planExternal(
  name: ExternalBuilder,
  gathered: Gathered,
  args: readonly string[],
  { release, modulesRoot, carrier }: ImageSite,
): ImageRecipe {
  const { program: called, install, sources, run } = builders[name];
  const program = findProgram(called);
  if (program === undefined)
    throw new KdumpError('no-program', `${called} is not installed, and image_builder is ${name}`, {
      fix: install,
      facts: { program: called },
    });
  const tree = openModuleTree(modulesRoot, release);
  const modules = resolveFromTree(tree, release, [
    'loop',
    'squashfs',
    ...gathered.modules,
    ...gathered.homeModules,
  ]).map((module) => module.name);
  const handover: CaptureHandover = {
    config: gathered.config,
    files: gathered.files.map((file) => {
      if (!('data' in file)) throw new KdumpError('bad-handover', `${file.path} has no content yet`);
      return { path: file.path, mode: file.mode, base64: Buffer.from(file.data).toString('base64') };
    }),
    modules: [...gathered.modules, ...gathered.homeModules],
  };
  const { nodeTree } = carryCapture(gathered.config, carrier);
  const orderArgs = [...gathered.dracut, ...withoutMount(args)];
  return {
    parts: [name, handover, modules, gathered.programs, orderArgs],
    inputs: [
      ...listNodeTree(nodeTree).entries.map(({ source }) => source),
      ...gathered.programs,
      ...gathered.sources,
      join(tree.directory, 'modules.dep'),
      ...sources.flatMap(filesBelow),
    ],
    warnings: gathered.warnings,
    build(incomplete) {
      const directory = mkdtempSync(join(dirname(incomplete), 'build-incomplete-'));
      try {
        const file = join(directory, 'handover.json');
        writeFileSync(file, JSON.stringify(handover), { mode: 0o600 });
        const mkdumprd = [carrier.node, join(dirname(carrier.captureBundle), 'mkdumprd.mjs')] as const;
        run(program, {
          ...{ directory, handover: file, output: incomplete, release, modulesRoot, modules, mkdumprd },
          programs: gathered.programs,
          args: orderArgs,
        });
        chmodSync(incomplete, 0o600);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
      return { items: [], unpackedBytes: unpackedSize(incomplete) };
    },
  };
}

/** Bytes that an image takes unpacked; null when the first thing in it is not compressed: then there are others. */
function unpackedSize(path: string): number | null {
  const image = readFileSync(path);
  if (compressionOf(image) === undefined) return null;
  let size = 0;
  const read = (offset: number, length: number): Uint8Array => image.subarray(offset, offset + length);
  unpack({ size: image.length, read }, path, (piece) => {
    size += piece.length;
  });
  return size;
}

/** A --mount of the configuration is a target, and stands among our own arguments. */
function withoutMount(args: readonly string[]): string[] {
  const at = args.indexOf('--mount');
  return args.filter(
    (word, index) => !(word.startsWith('--mount=') || (at >= 0 && (index === at || index === at + 1))),
  );
}

/** The settings of dracut's own configuration are for other images: the file and the directory here are empty of them. */
function runDracut(program: string, order: Order): void {
  const { directory, handover, output, release, modulesRoot, modules, programs, mkdumprd, args } = order;
  const conf = join(directory, 'dracut.conf');
  const confdir = join(directory, 'dracut.conf.d');
  mkdirSync(confdir);
  const words = (list: readonly string[]): string => list.map(quoteForBash).join(' ');
  writeFileSync(
    conf,
    `kdump_tools_mkdumprd=(${words(mkdumprd)})\nkdump_tools_handover=${words([handover])}\n`,
    { mode: 0o600 },
  );
  const tree = openModuleTree(modulesRoot, release);
  runOrThrow(
    program,
    [
      ...[
        '--force',
        '--quiet',
        '--hostonly',
        '--hostonly-mode',
        'sloppy',
        '--no-hostonly-cmdline',
        '--no-hostonly-i18n',
        // The processor has kept what it was given.
        '--no-early-microcode',
      ],
      ...['--conf', conf, '--confdir', confdir, '--tmpdir', directory, '--add', 'kdump-tools'],
      // The module shutdown takes kexec in, which is ours, and with it node outside of the squashfs.
      ...['--omit', 'plymouth resume hwdb shutdown', '--omit-drivers', 'nouveau amdgpu'],
      ...['--kver', release, '--kmoddir', tree.directory],
      ...(modules.length === 0 ? [] : ['--add-drivers', modules.join(' ')]),
      ...(programs.length === 0 ? [] : ['--install', programs.join(' ')]),
      ...args,
      output,
    ],
    { timeout: buildBound },
  );
}

/** Our hook reads what it is asked for from the environment, so that it stays out of every other image. */
function runMkinitramfs(program: string, order: Order): void {
  const { directory, handover, output, release, modules, programs, mkdumprd } = order;
  const confdir = join(directory, 'initramfs-tools');
  for (const name of ['conf.d', 'hooks', 'scripts']) mkdirSync(join(confdir, name), { recursive: true });
  writeFileSync(join(confdir, 'initramfs.conf'), 'MODULES=dep\nBUSYBOX=y\nCOMPRESS=gzip\nRESUME=none\n');
  writeFileSync(join(confdir, 'modules'), '');
  runOrThrow(program, ['-d', confdir, '-o', output, release], {
    timeout: buildBound,
    env: {
      ...process.env,
      TMPDIR: directory,
      KDUMP_TOOLS_HANDOVER: handover,
      KDUMP_TOOLS_NODE: mkdumprd[0],
      KDUMP_TOOLS_MKDUMPRD: mkdumprd[1],
      KDUMP_TOOLS_MODULES: modules.join(' '),
      KDUMP_TOOLS_PROGRAMS: programs.join('\n'),
    },
  });
}

const quoteForBash = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

function filesBelow(path: string): string[] {
  const isDirectory = existsSync(path) && statSync(path).isDirectory();
  return isDirectory
    ? readdirSync(path)
        .sort()
        .map((name) => join(path, name))
    : [path];
}
