import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { findProgram, run, runOrThrow } from '../../system/processes.ts';
import { listSharedObjects } from '../../system/shared-objects.ts';
import { paths } from '../capture/paths.ts';
import { isElf, readInterpreter } from './interpreter.ts';

/** Node and all that it loads, to be packed into one squashfs image. */
export type NodeTreePlan = {
  /** Path of the node to carry. */
  readonly node: string;
  /** Libraries that our code opens at run time, by soname. What is not installed is left out and reported. */
  readonly libraries: readonly string[];
  /** koffi's addon. */
  readonly koffi: string;
  /** Bundles, each by its path: they land in app/ under their own names, beside koffi.node. */
  readonly bundles: readonly string[];
  /** Programs and scripts that the capture runs, each by its path: they are found there in the image, too. */
  readonly programs?: readonly string[];
};

/** Codec libraries of the collector; it has a fallback, or another codec, for each. */
export const codecLibraries = ['liblzo2.so.2', 'libzstd.so.1', 'libdeflate.so.0', 'libsnappy.so.1'] as const;

export type TreeItem = { readonly path: string; readonly bytes: number };

export type NodeTree = {
  readonly squashfs: Uint8Array;
  /** What is in it, by its path in the running image, with unpacked sizes in bytes. */
  readonly items: readonly TreeItem[];
  /** The dynamic loader's path as node names it: there must be a link to it, or the kernel cannot start node. */
  readonly loader: { readonly path: string; readonly inTree: string };
  /** Files that node opens by absolute paths: each has to be a link into the tree. */
  readonly links: readonly { readonly path: string; readonly inTree: string }[];
  /** Libraries of the plan that are not installed here. */
  readonly missing: readonly string[];
};

/** A file of the tree, before it is packed. */
type Entry = { readonly source: string; readonly path: string; readonly mode: number };

/** What goes into the tree: everything that is known before it is packed. */
export type NodeTreeContents = Omit<NodeTree, 'squashfs' | 'items'> & { readonly entries: readonly Entry[] };

/** Packing time in seconds at which something is wrong. */
const packBound = 600;

/**
 * Lists what node, koffi and the programs need, as their own loader finds it.
 * @throws KdumpError `static-node`, `program-loader`, `shared-objects` when a library is missing.
 */
export function listNodeTree(plan: NodeTreePlan): NodeTreeContents {
  const loader = readInterpreter(plan.node);
  if (loader === undefined)
    throw new KdumpError('static-node', `${plan.node} is statically linked: it cannot load koffi`, {
      fix: 'Build the image with the node of your distribution.',
    });
  const listed = listSharedObjects(loader, plan.node, plan.libraries);
  const programs = plan.programs ?? [];
  // Listed by itself: its path may hold what LD_PRELOAD takes for a separator.
  const objects = [
    ...listed.objects,
    ...[plan.koffi, ...programs.filter((path) => needsLoader(path, loader))].flatMap(
      (path) => listSharedObjects(loader, path).objects,
    ),
  ];
  const entries: Entry[] = [{ source: plan.node, path: 'bin/node', mode: 0o755 }];
  const names = new Set<string>();
  for (const { name, path } of objects) {
    // The loader stands in the list under its own path; it goes in below under the name of node's PT_INTERP.
    if (name === loader || path === loader || names.has(basename(name))) continue;
    names.add(basename(name));
    entries.push({ source: path, path: join('lib', basename(name)), mode: 0o644 });
  }
  entries.push({ source: loader, path: join('lib', basename(loader)), mode: 0o755 });
  const builtins = externalBuiltins([plan.node, ...objects.map(({ path }) => path)]);
  for (const source of builtins) entries.push({ source, path: join('builtins', source), mode: 0o644 });
  for (const source of programs) entries.push({ source, path: join('programs', source), mode: 0o755 });
  entries.push({ source: plan.koffi, path: 'app/koffi.node', mode: 0o644 });
  for (const source of plan.bundles)
    entries.push({ source, path: join('app', basename(source)), mode: 0o644 });
  return {
    entries,
    loader: { path: loader, inTree: join(paths.libraries, basename(loader)) },
    missing: listed.missing,
    links: [
      ...builtins.map((path) => ({ path, inTree: join(paths.tree, 'builtins', path) })),
      ...programs.map((path) => ({ path, inTree: join(paths.tree, 'programs', path) })),
    ],
  };
}

/**
 * Whether a program is started by node's own loader; false for a static program and for a script.
 * @throws KdumpError `program-loader` when it needs another one
 */
function needsLoader(path: string, loader: string): boolean {
  if (!isElf(path)) return false;
  const own = readInterpreter(path);
  if (own === undefined) return false;
  if (realpathSync(own) !== realpathSync(loader))
    throw new KdumpError('program-loader', `${path} is started by ${own}, and node by ${loader}`, {
      fix: 'Name a program that is built for the same C library as node, or a static one.',
      facts: { program: path },
    });
  return true;
}

/**
 * Builds the squashfs image. Equal input gives equal bytes: no times, no owners, no extended attributes.
 * @throws KdumpError `no-program` without mksquashfs, and those of listNodeTree
 */
export function buildNodeTree(plan: NodeTreePlan): NodeTree {
  const mksquashfs = findProgram('mksquashfs');
  if (mksquashfs === undefined)
    throw new KdumpError('no-program', 'mksquashfs is not installed', {
      fix: 'Install the package squashfs-tools.',
      facts: { program: 'mksquashfs' },
    });
  const { entries, ...contents } = listNodeTree(plan);
  const directory = mkdtempSync(join(tmpdir(), 'kdump-tree-'));
  try {
    const tree = join(directory, 'tree');
    const items: TreeItem[] = [];
    for (const { source, path, mode } of entries) {
      const target = join(tree, path);
      makeDirectories(tree, dirname(path));
      if (!(source === plan.node && strip(source, target))) copyFileSync(source, target);
      chmodSync(target, mode);
      items.push({ path: join(paths.tree, path), bytes: statSync(target).size });
    }
    const packed = join(directory, 'tree.squashfs');
    runOrThrow(mksquashfs, [tree, packed, ...squashfsOptions], {
      timeout: packBound,
      env: squashfsEnvironment(),
    });
    return { ...contents, squashfs: readFileSync(packed), items };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Scripts of node itself that a distribution keeps outside of it (configure --shared-builtin-…-path; Debian's nodejs
 * does so with acorn, undici and others): node ends at once when one is missing. Their absolute paths stand in the
 * binary, and nothing else says where they are.
 */
function externalBuiltins(binaries: readonly string[]): string[] {
  const found = new Set<string>();
  for (const binary of binaries) {
    for (const [, path] of readFileSync(binary, 'latin1').matchAll(/\0(\/[\w@+./-]+\.js)(?=\0)/g)) {
      if (existsSync(path!)) found.add(path!);
    }
  }
  return [...found].sort();
}

/** Whatever the umask: equal input gives equal bytes. */
function makeDirectories(tree: string, path: string): void {
  if (path !== '.') makeDirectories(tree, dirname(path));
  mkdirSync(join(tree, path), { recursive: true });
  chmodSync(join(tree, path), 0o755);
}

const squashfsOptions = [
  ...['-comp', 'zstd', '-noappend', '-no-progress', '-quiet'],
  ...['-no-xattrs', '-all-root', '-mkfs-time', '0', '-all-time', '0', '-root-mode', '755'],
];

/** mksquashfs refuses times as options when it is also given them by SOURCE_DATE_EPOCH. */
function squashfsEnvironment(): NodeJS.ProcessEnv {
  const { SOURCE_DATE_EPOCH: _, ...rest } = process.env;
  return rest;
}

/** Symbols and debug data are a tenth of node and of no use here. @returns false when strip is missing or refuses. */
function strip(source: string, target: string): boolean {
  const program = findProgram('strip');
  return program !== undefined && run(program, ['-s', '-o', target, source], { timeout: 120 }).status === 0;
}
