import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Koffi from 'koffi';
import { KdumpError } from '../lib/errors.ts';

/**
 * The one door to native code. koffi is loaded on first use: commands that make no call (`--help`, parsing, dry runs)
 * do not pay for it.
 *
 * Rules of the house, learned from silent process deaths:
 * - an address taken from a Buffer is only good while that Buffer is reachable: keep both in one live object;
 * - node exports its bundled zlib (and, from 22 on, zstd): a library that calls itself by these names must be loaded
 *   with its own symbols first (`deep`), or it runs on a mixture of two versions.
 */

/** The part of koffi that the project uses. */
export type FfiLibrary = Koffi.LibraryHandle;
/** Arguments and results are converted by the C prototype; callers give the result its type. */
export type FfiFunction = (...args: (number | bigint | string | Uint8Array | null)[]) => unknown;

let loaded: typeof Koffi | undefined;

/** koffi, from `koffi.node` beside a bundle (the capture image) or from node_modules. */
export function koffi(): typeof Koffi {
  if (loaded === undefined) {
    const beside = fileURLToPath(new URL('./koffi.node', import.meta.url));
    if (existsSync(beside)) {
      // The bare addon has the whole interface, so a bundle needs no wrapper and no package directory.
      const holder = { exports: {} };
      process.dlopen(holder, beside);
      loaded = holder.exports as typeof Koffi;
    } else {
      loaded = createRequire(import.meta.url)('koffi') as typeof Koffi;
    }
  }
  return loaded;
}

const libraries = new Map<string, FfiLibrary | undefined>();

/**
 * Opens a shared library by its soname, or the process itself for null.
 * @param deep binds the library's references to its own symbols first (RTLD_DEEPBIND); it must be the first load.
 * @returns undefined when no such library is installed.
 */
export function openLibrary(soname: string | null, deep = false): FfiLibrary | undefined {
  const key = soname ?? '';
  if (!libraries.has(key)) {
    try {
      libraries.set(key, koffi().load(soname, { deep }));
    } catch {
      libraries.set(key, undefined);
    }
  }
  return libraries.get(key);
}

const functions = new Map<string, FfiFunction>();

/** A function of libc by its C prototype; looked up once. */
export function libc(prototype: string): FfiFunction {
  let found = functions.get(prototype);
  if (found === undefined) {
    found = openLibrary(null)!.func(prototype) as FfiFunction;
    functions.set(prototype, found);
  }
  return found;
}

/** errno of the call that has just returned, as a positive number. */
export function lastErrno(): number {
  return koffi().errno();
}

/**
 * Address of a Buffer's first byte. The caller keeps `owner` reachable for as long as the address is in use;
 * holding the pair in one object is the easiest way.
 */
export function addressOf(owner: Uint8Array): number {
  const address = Number(koffi().address(owner));
  if (!Number.isSafeInteger(address)) throw new KdumpError('ffi', `address of a buffer is beyond 2^53`);
  return address;
}

/** A size_t of ours that a library reads and overwrites, passed by its address. */
export type SizeArgument = {
  /** Good as long as this object is reachable. */
  readonly address: number;
  set(value: number): void;
  get(): number;
};

export function sizeArgument(): SizeArgument {
  const bytes = Buffer.alloc(8);
  return {
    address: addressOf(bytes),
    set: (value) => {
      bytes.writeUInt32LE(value, 0);
      bytes.writeUInt32LE(0, 4);
    },
    get: () => bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 2 ** 32,
  };
}
