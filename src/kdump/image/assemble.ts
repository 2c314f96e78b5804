import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type CpioEntry, parentDirectories, writeCpio } from '../../formats/cpio.ts';
import type { ResolvedModule } from '../../formats/module-dep.ts';
import { KdumpError } from '../../lib/errors.ts';
import { findProgram, runOrThrow } from '../../system/processes.ts';
import { listSharedObjects } from '../../system/shared-objects.ts';
import { paths } from '../capture/paths.ts';
import { readInterpreter } from './interpreter.ts';
import { type ModuleTree, openModuleTree, readModule, resolveFromTree } from './modules.ts';
import { buildNodeTree, listNodeTree, type NodeTreePlan } from './node-tree.ts';
import { applets } from './shell.ts';

/** Everything that goes into an initramfs: the capture image, or a guest of the crash lab. */
export type ImagePlan = {
  /** Text of /init. */
  readonly init: string;
  /** Path of busybox on this machine; found by itself when absent. */
  readonly busybox?: string;
  /** Links to busybox in /bin, beside those that our shell pieces need. */
  readonly applets?: readonly string[];
  readonly kernelRelease: string;
  /** Root directory below which lib/modules/RELEASE lies. */
  readonly modulesRoot: string;
  /** Names or aliases of modules to insert at boot; what they need comes with them. */
  readonly modules: readonly string[];
  /** Those that only the account at home needs; those among them that the others need, too, count as the others. */
  readonly homeModules?: readonly string[];
  readonly files?: readonly ImageFile[];
  readonly nodeTree?: NodeTreePlan;
};

/** A file in the image, with its content or a file to copy it from. */
export type ImageFile = { readonly path: string; readonly mode: number } & (
  | { readonly data: Uint8Array }
  | { readonly source: string }
);

export type ImageItem = {
  /** Path in the running image. */
  readonly path: string;
  /** Size, unpacked. */
  readonly bytes: number;
  readonly storedIn: 'initramfs' | 'squashfs';
};

export type AssembledImage = {
  /** The image file, in pieces that follow one another. */
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** Bytes that the unpacked root occupies in the memory of the booted kernel. */
  readonly unpackedBytes: number;
  /** Files, the largest first. */
  readonly items: readonly ImageItem[];
  /** Modules in the order in which they are inserted. */
  readonly modules: readonly string[];
  /** Libraries that were asked for and are not installed here. */
  readonly missingLibraries: readonly string[];
};

/**
 * Puts an image together. It is two cpio archives, one behind the other, which the kernel unpacks in turn: a gzipped one,
 * that every kernel can read, and a plain one with the squashfs image, that compresses no further. The small one is
 * first: when memory is too short for the other, there still is an init that says so.
 * @throws KdumpError when a file, module, library or program that is needed is not there.
 */
export function assembleImage(plan: ImagePlan): AssembledImage {
  const entries: CpioEntry[] = [];
  const add = (path: string, mode: number, data: Uint8Array): void =>
    void entries.push({ type: 'file', path: path.replace(/^\/+/, ''), mode, data });
  const link = (path: string, target: string): void =>
    void entries.push({ type: 'symlink', path: path.replace(/^\/+/, ''), target });

  add('init', 0o755, Buffer.from(plan.init));
  // PID 1 has no other way to speak before it has mounted /dev.
  entries.push({ type: 'character-device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 });

  const busybox = plan.busybox ?? findBusybox();
  const { loader } = addBusybox(busybox, add);
  for (const applet of new Set([...applets, ...(plan.applets ?? [])])) link(join('bin', applet), 'busybox');

  const { tree, modules, homeModules } = modulesOf(plan);
  const addModules = (directory: string, list: readonly ResolvedModule[]): void =>
    list.forEach((module, index) => {
      // Numbered, because the shell's * gives names in alphabetical order.
      const file = `${String(index).padStart(3, '0')}-${module.name}.ko`;
      add(join(directory, file), 0o644, readModule(tree!, module));
    });
  addModules(paths.modules, modules);
  addModules(paths.homeModules, homeModules);
  for (const file of plan.files ?? [])
    add(file.path, file.mode, 'data' in file ? file.data : readFileSync(file.source));

  const node = plan.nodeTree === undefined ? undefined : buildNodeTree(plan.nodeTree);
  // The kernel finds node's loader by this path. A busybox that is not static has brought it along already.
  if (node !== undefined && node.loader.path !== loader) link(node.loader.path, node.loader.inTree);

  const taken = new Set(entries.map(({ path }) => path));
  const linkIfFree = (path: string, target: string): boolean => {
    const isFree = !taken.has(path.replace(/^\/+/, ''));
    if (isFree) link(path, target);
    taken.add(path.replace(/^\/+/, ''));
    return isFree;
  };
  // Init needs its own programs before the tree is there; and /usr/bin is searched before /bin.
  for (const { path, inTree } of node?.links ?? [])
    if (!linkIfFree(path, inTree)) linkIfFree(join('/usr/bin', basename(path)), inTree);
  // Where scripts look for them.
  if (plan.nodeTree?.programs?.length)
    for (const name of ['sh', 'env']) linkIfFree(join('/usr/bin', name), '/bin/busybox');

  const directories: CpioEntry[] = parentDirectories([
    ...entries.map(({ path }) => path),
    'run/x',
    'proc/x',
    'sys/x',
  ]).map((path) => ({ type: 'directory', path, mode: 0o755 }));
  const first = padded(gzipSync(Buffer.concat(writeCpio([...directories, ...entries])), { level: 9 }));
  const squashfs = paths.squashfs.replace(/^\/+/, '');
  const pieces =
    node === undefined
      ? [first]
      : [first, ...writeCpio([{ type: 'file', path: squashfs, mode: 0o600, data: node.squashfs }])];

  const files = entries.filter((entry) => entry.type === 'file');
  const items: ImageItem[] = [
    ...files.map(
      ({ path, data }): ImageItem => ({ path: `/${path}`, bytes: data.length, storedIn: 'initramfs' }),
    ),
    ...(node?.items ?? []).map((item): ImageItem => ({ ...item, storedIn: 'squashfs' })),
  ];
  return {
    pieces,
    bytes: pieces.reduce((sum, piece) => sum + piece.length, 0),
    unpackedBytes: files.reduce(
      (sum, { data }) => sum + wholePages(data.length),
      wholePages(node?.squashfs.length ?? 0),
    ),
    items: items.sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1)),
    modules: modules.map(({ name }) => name),
    missingLibraries: node?.missing ?? [],
  };
}

type PlannedModules = {
  readonly tree: ModuleTree | undefined;
  readonly modules: readonly ResolvedModule[];
  readonly homeModules: readonly ResolvedModule[];
};

/** The modules of an image, in the order in which they are inserted. */
function modulesOf({ homeModules = [], ...plan }: ImagePlan): PlannedModules {
  const wanted = [...(plan.nodeTree === undefined ? [] : ['loop', 'squashfs']), ...plan.modules];
  // Without modules there need be no tree of them: everything may be part of the kernel.
  if (wanted.length + homeModules.length === 0) return { tree: undefined, modules: [], homeModules: [] };
  const tree = openModuleTree(plan.modulesRoot, plan.kernelRelease);
  const resolve = (names: readonly string[]) => resolveFromTree(tree, plan.kernelRelease, names);
  const modules = resolve(wanted);
  const first = new Set(modules.map(({ path }) => path));
  return { tree, modules, homeModules: resolve(homeModules).filter(({ path }) => !first.has(path)) };
}

/**
 * The files of this machine that an image is made from, in an order that depends on nothing but the plan.
 * @throws as assembleImage
 */
export function filesOf(plan: ImagePlan): string[] {
  const { tree, modules, homeModules } = modulesOf(plan);
  const busybox = plan.busybox ?? findBusybox();
  const loader = readInterpreter(busybox);
  const files = [
    ...[...modules, ...homeModules].map(({ path }) => join(tree!.directory, path)),
    busybox,
    ...(loader === undefined ? [] : listSharedObjects(loader, busybox).objects.map(({ path }) => path)),
    ...(plan.files ?? []).flatMap((file) => ('source' in file ? [file.source] : [])),
    ...(plan.nodeTree === undefined ? [] : listNodeTree(plan.nodeTree).entries.map(({ source }) => source)),
  ];
  return [...new Set(files)];
}

/** Names of all that busybox can do, for images in which people or their scripts work. */
export function allApplets(busybox: string = findBusybox()): string[] {
  const { stdout } = runOrThrow(busybox, ['--list'], { timeout: listBound });
  return stdout
    .toString()
    .split('\n')
    .filter((name) => /^[\w[.-]+$/.test(name) && name !== 'busybox');
}
const listBound = 20;

/** @throws KdumpError `no-busybox` */
function findBusybox(): string {
  const found = findProgram('busybox');
  if (found === undefined)
    throw new KdumpError('no-busybox', 'busybox is not installed', {
      fix: 'Install the package busybox-static (or busybox).',
    });
  return found;
}

/** @returns the loader that came along with a busybox that is not static */
function addBusybox(
  path: string,
  add: (path: string, mode: number, data: Uint8Array) => void,
): { loader: string | undefined } {
  if (!existsSync(path)) throw new KdumpError('no-busybox', `${path} does not exist`);
  add('bin/busybox', 0o755, readFileSync(path));
  const loader = readInterpreter(path);
  if (loader !== undefined) {
    add(loader, 0o755, readFileSync(loader));
    for (const object of listSharedObjects(loader, path).objects) {
      if (object.name !== loader) add(join('lib', basename(object.name)), 0o755, readFileSync(object.path));
    }
  }
  return { loader };
}

/** The kernel looks for a plain archive only at multiples of four bytes; zeros between archives are skipped. */
function padded(archive: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(archive.length / 4) * 4);
  out.set(archive);
  return out;
}

/** A file in a tmpfs takes whole pages. */
const wholePages = (bytes: number): number => Math.ceil(bytes / 4096) * 4096;
