import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  isKnownModule,
  type ModuleIndex,
  parseModuleIndex,
  type ResolvedModule,
  resolveModules,
} from '../../formats/module-dep.ts';
import { KdumpError } from '../../lib/errors.ts';
import { decompress } from '../../system/decompress.ts';

/** A kernel's modules on the building machine. */
export type ModuleTree = { readonly directory: string; readonly index: ModuleIndex };

/** Where distributions keep modules, below a root directory. */
const places = ['lib/modules', 'usr/lib/modules'];

/**
 * Opens the modules of one kernel.
 * @throws KdumpError `no-modules` when the kernel has none below `root`, or depmod has not been run over them.
 */
export function openModuleTree(root: string, release: string): ModuleTree {
  const directory = places.map((place) => join(root, place, release)).find((path) => existsSync(path));
  if (directory === undefined)
    throw new KdumpError('no-modules', `kernel ${release} has no modules in ${join(root, places[0]!)}`, {
      fix: 'Name a kernel that is installed, or the root directory of its modules with --modules-root.',
      facts: { root, release },
    });
  const read = (name: string): string => {
    const path = join(directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  if (!existsSync(join(directory, 'modules.dep')))
    throw new KdumpError('no-modules', `${directory} has no modules.dep`, {
      fix: `Run depmod -b ${root} ${release}.`,
      facts: { root, release },
    });
  const index = parseModuleIndex({
    dep: read('modules.dep'),
    builtin: read('modules.builtin'),
    softdep: read('modules.softdep'),
    alias: read('modules.alias'),
    builtinModinfo: read('modules.builtin.modinfo'),
  });
  return { directory, index };
}

/** Name under which a kernel knows the module of a file system: what mount(2) itself asks for, or the plain name. */
export function fileSystemModule(index: ModuleIndex, fstype: string): string {
  const alias = `fs-${fstype}`;
  return isKnownModule(index, alias) ? alias : fstype;
}

/** @throws KdumpError `module-missing` with the kernel's name and what to do. */
export function resolveFromTree(
  tree: ModuleTree,
  release: string,
  wanted: readonly string[],
): ResolvedModule[] {
  try {
    return resolveModules(tree.index, wanted);
  } catch (error) {
    if (!(error instanceof KdumpError) || error.code !== 'module-missing') throw error;
    const { module } = error.facts;
    throw new KdumpError('module-missing', `kernel ${release} has no module or built-in driver "${module}"`, {
      fix: 'Name the drivers of the target with --add-drivers, as modinfo(8) lists them.',
      facts: { module, release },
    });
  }
}

/** A module as the kernel takes it from insmod: plain, whatever it is compressed with on disk; its signature is kept. */
export function readModule(tree: ModuleTree, module: ResolvedModule): Uint8Array {
  const path = join(tree.directory, module.path);
  return decompress(readFileSync(path), path);
}
