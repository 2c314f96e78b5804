import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KdumpError } from '../lib/errors.ts';
import { run } from './processes.ts';

/** What the dynamic loader maps for a program: `name` is what it is asked for, `path` the file it takes. */
export type SharedObject = { readonly name: string; readonly path: string };
export type SharedObjects = {
  readonly objects: readonly SharedObject[];
  /** Of the libraries asked for in addition, those that are not installed. */
  readonly missing: readonly string[];
};

/**
 * Asks the dynamic loader itself what it would load, so that what is packed is what will be loaded.
 * @param loader path of the loader, a program's PT_INTERP
 * @param opened libraries that the program opens later by itself, by soname or path; they are preloaded for the listing
 * @throws KdumpError `shared-objects` when a library that the program needs is not found.
 */
export function listSharedObjects(
  loader: string,
  program: string,
  opened: readonly string[] = [],
): SharedObjects {
  const { status, stdout, stderr } = run(loader, ['--list', program], {
    env: {
      PATH: '/usr/bin:/bin',
      LC_ALL: 'C',
      ...(opened.length > 0 ? { LD_PRELOAD: opened.join(':') } : {}),
    },
    timeout: 60,
  });
  const text = stdout.toString();
  const lost = /^\s*(\S+) => not found$/m.exec(text)?.[1];
  if (status !== 0 || lost !== undefined)
    throw new KdumpError(
      'shared-objects',
      `${program}: ${lost === undefined ? `${loader} cannot list what it needs: ${stderr.trim()}` : `its shared library ${lost} is not found`}`,
      { facts: { program, loader } },
    );
  return { objects: parseList(text), missing: opened.filter((name) => stderr.includes(`object '${name}'`)) };
}

/** Lines of `ld.so --list`: "name => /path (0x…)", or "/path (0x…)" for what was asked for by its path. */
function parseList(text: string): SharedObject[] {
  const objects: SharedObject[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*(\S+)(?: => (\S+))? \(0x[0-9a-f]+\)$/.exec(line);
    const name = match?.[1];
    // "linux-vdso.so.1" comes from the kernel; the loader lists itself by its own path.
    if (name === undefined || (!name.startsWith('/') && match?.[2] === undefined)) continue;
    objects.push({ name, path: name.startsWith('/') ? name : match![2]! });
  }
  return objects;
}

/** Path of koffi's addon for this machine: beside a bundle, or in node_modules. @throws KdumpError `no-koffi` */
export function koffiAddon(): string {
  const beside = fileURLToPath(new URL('./koffi.node', import.meta.url));
  if (existsSync(beside)) return beside;
  const name = `@koromix/koffi-linux-${process.arch}`;
  try {
    const fromKoffi = createRequire(createRequire(import.meta.url).resolve('koffi'));
    return join(dirname(fromKoffi.resolve(name)), `linux_${process.arch}`, 'koffi.node');
  } catch (cause) {
    throw new KdumpError('no-koffi', `koffi's addon for this machine (${name}) is not installed`, {
      fix: 'Run npm ci in the directory of kdump-tools.',
      cause,
    });
  }
}
