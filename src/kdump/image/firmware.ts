import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Suffixes under which firmware lies on disk; the kernel unpacks it by itself. */
const suffixes = ['', '.zst', '.xz'];
const directories = ['lib/firmware/updates', 'lib/firmware', 'usr/lib/firmware'];
/** `*` stands for whatever a driver finds out: those are left out. */
const plainName = /^[\w.+/-]+$/;

/**
 * Files of firmware that a module names for itself (its .modinfo, as modinfo -F firmware lists it) and that are installed.
 * @param module content of the module, not compressed
 * @param root directory that stands in for /
 */
export function firmwareOf(module: Uint8Array, root = '/'): { path: string; source: string }[] {
  const text = Buffer.from(module.buffer, module.byteOffset, module.length).toString('latin1');
  const names = [...text.matchAll(/(?:^|\0)firmware=([^\0]{1,200})(?=\0)/g)].map((match) => match[1]!);
  return [...new Set(names)]
    .filter((name) => plainName.test(name) && !name.split('/').includes('..'))
    .flatMap((name) => {
      const found = directories
        .flatMap((directory) => suffixes.map((suffix) => join(directory, `${name}${suffix}`)))
        .find((path) => existsSync(join(root, path)));
      if (found === undefined) return [];
      const suffix = found.slice(found.lastIndexOf(name) + name.length);
      return [{ path: join('/lib/firmware', `${name}${suffix}`), source: join(root, found) }];
    });
}
