import { KdumpError } from '../lib/errors.ts';

/**
 * What depmod(8) writes beside a kernel's modules: which module needs which (modules.dep), which are part of the kernel
 * (modules.builtin), which should be loaded around others (modules.softdep), and other names of both (modules.alias,
 * modules.builtin.modinfo). All but the last are lines of text; formats: modules.dep(5), modprobe.d(5).
 */
export type ModuleIndex = {
  /** Canonical name → path relative to the modules directory, and the paths it needs, nearest first. */
  readonly modules: ReadonlyMap<string, { readonly path: string; readonly needs: readonly string[] }>;
  readonly builtin: ReadonlySet<string>;
  readonly soft: ReadonlyMap<string, { readonly pre: readonly string[]; readonly post: readonly string[] }>;
  readonly aliases: readonly { readonly pattern: string; readonly name: string }[];
};

/** The texts of the index files; a file that is not there is an empty string. */
export type ModuleIndexTexts = {
  readonly dep: string;
  readonly builtin: string;
  readonly softdep: string;
  readonly alias: string;
  /** NUL-separated `module.key=value`, as modinfo has them. */
  readonly builtinModinfo: string;
};

export type ResolvedModule = { readonly name: string; readonly path: string };

/** `kernel/drivers/block/virtio-blk.ko.xz` → `virtio_blk`: the name under which a running kernel lists it. */
export function moduleName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  return base.replace(/\.ko(\.[a-z0-9]+)?$/, '').replaceAll('-', '_');
}

export function parseModuleIndex(texts: ModuleIndexTexts): ModuleIndex {
  const modules = new Map<string, { path: string; needs: string[] }>();
  for (const line of lines(texts.dep)) {
    const colon = line.indexOf(':');
    if (colon < 0) throw new KdumpError('module-index', `modules.dep: line "${line}" has no colon`);
    const path = line.slice(0, colon);
    modules.set(moduleName(path), { path, needs: words(line.slice(colon + 1)) });
  }

  const soft = new Map<string, { pre: string[]; post: string[] }>();
  for (const line of lines(texts.softdep)) {
    const [keyword, name, ...rest] = words(line);
    if (keyword !== 'softdep' || name === undefined) continue;
    const entry = soft.get(canonical(name)) ?? { pre: [], post: [] };
    let into: string[] | undefined;
    for (const word of rest) {
      if (word === 'pre:') into = entry.pre;
      else if (word === 'post:') into = entry.post;
      // Words before the first keyword have no meaning; kmod skips them as well.
      else into?.push(word);
    }
    soft.set(canonical(name), entry);
  }

  const aliases: { pattern: string; name: string }[] = [];
  for (const line of lines(texts.alias)) {
    const [keyword, pattern, name] = words(line);
    if (keyword === 'alias' && pattern !== undefined && name !== undefined)
      aliases.push({ pattern, name: canonical(name) });
  }
  const builtin = new Set(lines(texts.builtin).map(moduleName));
  for (const record of texts.builtinModinfo.split('\0')) {
    const match = /^([^.=]+)\.alias=(.*)$/s.exec(record);
    if (match) {
      builtin.add(canonical(match[1]!));
      aliases.push({ pattern: match[2]!, name: canonical(match[1]!) });
    }
  }
  return { modules, builtin, soft, aliases };
}

/**
 * The modules to insert for `wanted` (names or aliases), each once, in an order in which every module follows what it needs.
 * What is part of the kernel already is left out.
 * @throws KdumpError `module-missing` when a wanted name is neither a module, an alias nor part of the kernel.
 */
export function resolveModules(index: ModuleIndex, wanted: readonly string[]): ResolvedModule[] {
  const ordered: ResolvedModule[] = [];
  const visited = new Set<string>();

  const add = (name: string): void => {
    if (visited.has(name)) return;
    visited.add(name);
    const module = index.modules.get(name);
    if (module === undefined) return;
    const soft = index.soft.get(name);
    for (const before of soft?.pre ?? []) addIfKnown(before);
    // modules.dep lists the nearest need first: the last one is to be inserted first.
    for (const needed of module.needs.toReversed()) add(moduleName(needed));
    ordered.push({ name, path: module.path });
    for (const after of soft?.post ?? []) addIfKnown(after);
  };
  // A soft dependency that does not exist is no error: the module works without it.
  const addIfKnown = (nameOrAlias: string): void => {
    for (const name of lookUp(index, nameOrAlias) ?? []) add(name);
  };

  for (const nameOrAlias of wanted) {
    const names = lookUp(index, nameOrAlias);
    if (names === undefined)
      throw new KdumpError(
        'module-missing',
        `this kernel has no module or built-in driver "${nameOrAlias}"`,
        {
          facts: { module: nameOrAlias },
        },
      );
    for (const name of names) add(name);
  }
  return ordered;
}

/** Whether a name or alias stands for a module or for something that is part of the kernel. */
export function isKnownModule(index: ModuleIndex, nameOrAlias: string): boolean {
  return lookUp(index, nameOrAlias) !== undefined;
}

/** Canonical names behind a name or alias; undefined when nothing is known by it. */
function lookUp(index: ModuleIndex, nameOrAlias: string): string[] | undefined {
  const name = canonical(nameOrAlias);
  if (index.modules.has(name) || index.builtin.has(name)) return [name];
  const matching = index.aliases
    .filter((alias) => matchesGlob(alias.pattern, nameOrAlias) || alias.pattern === name)
    .map((alias) => alias.name);
  return matching.length === 0 ? undefined : [...new Set(matching)];
}

/** fnmatch(3) as aliases use it: `*`, `?` and `[…]`. Patterns of other kinds of alias are told apart by their first letters. */
function matchesGlob(pattern: string, text: string): boolean {
  const literal = pattern.search(/[*?[]/);
  if (literal < 0) return pattern === text;
  if (pattern.slice(0, literal) !== text.slice(0, literal)) return false;
  const source = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replace(/\[!/g, '[^')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}

const canonical = (name: string): string => name.replaceAll('-', '_');
const words = (line: string): string[] => line.split(/\s+/).filter((word) => word !== '');
const lines = (content: string): string[] =>
  content.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
