import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { findProgram, run, runOrThrow } from '../../system/processes.ts';
import { listSharedObjects } from '../../system/shared-objects.ts';
import { paths } from '../capture/paths.ts';
import { readInterpreter } from './interpreter.ts';

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

/** Packing time in seconds at which something is wrong. */
const packBound = 600;

/**
 * Builds the squashfs image. Equal input gives equal bytes: no times, no owners, no extended attributes.
 * @throws KdumpError `no-program` without mksquashfs, `shared-objects` when a library of node is missing.
 */
export function buildNodeTree(plan: NodeTreePlan): NodeTree {
  const mksquashfs = findProgram('mksquashfs');
  if (mksquashfs === undefined)
    throw new KdumpError('no-program', 'mksquashfs is not installed', {
      fix: 'Install the package squashfs-tools.',
      facts: { program: 'mksquashfs' },
    });
  const loader = readInterpreter(plan.node);
  if (loader === undefined)
    throw new KdumpError('static-node', `${plan.node} is statically linked: it cannot load koffi`, {
      fix: 'Build the image with the node of your distribution.',
    });
  const listed = listSharedObjects(loader, plan.node, plan.libraries);
  // Listed by itself: its path may hold what LD_PRELOAD takes for a separator.
  const objects = [...listed.objects, ...listSharedObjects(loader, plan.koffi).objects];

  const directory = mkdtempSync(join(tmpdir(), 'kdump-tree-'));
  try {
    const tree = join(directory, 'tree');
    const items: TreeItem[] = [];
    const add = (source: string, path: string, mode: number, stripped = false): void => {
      const target = join(tree, path);
      mkdirSync(dirname(target), { recursive: true });
      // Whatever the umask: equal input gives equal bytes.
      chmodSync(dirname(target), 0o755);
      if (!(stripped && strip(source, target))) copyFileSync(source, target);
      chmodSync(target, mode);
      items.push({ path: join(paths.tree, path), bytes: statSync(target).size });
    };
    add(plan.node, 'bin/node', 0o755, true);
    const names = new Set<string>();
    for (const { name, path } of objects) {
      // The loader stands in the list under its own path; it goes in below under the name of node's PT_INTERP.
      if (name === loader || path === loader || names.has(basename(name))) continue;
      names.add(basename(name));
      add(path, join('lib', basename(name)), 0o644);
    }
    add(loader, join('lib', basename(loader)), 0o755);
    const builtins = externalBuiltins([plan.node, ...objects.map(({ path }) => path)]);
    for (const builtin of builtins) add(builtin, join('builtins', builtin), 0o644);
    add(plan.koffi, 'app/koffi.node', 0o644);
    for (const bundle of plan.bundles) add(bundle, join('app', basename(bundle)), 0o644);

    const packed = join(directory, 'tree.squashfs');
    runOrThrow(mksquashfs, [tree, packed, ...squashfsOptions], {
      timeout: packBound,
      env: squashfsEnvironment(),
    });
    return {
      squashfs: readFileSync(packed),
      items,
      loader: { path: loader, inTree: join(paths.libraries, basename(loader)) },
      missing: listed.missing,
      links: builtins.map((path) => ({ path, inTree: join(paths.tree, 'builtins', path) })),
    };
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
