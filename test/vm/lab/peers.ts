// The C tools that our results are compared with, newer than the host's: each in a tree of its own with every library
// it needs, run by that tree's own dynamic loader. Debian 12's makedumpfile 1.7.2 does not understand kernel 6.12.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { KdumpError } from '../../../src/lib/errors.ts';
import type { DiskFiles } from './disk.ts';
import { newest, type Suite, unpacked } from './packages.ts';
import { check, type Finished, type RunOptions, run } from './process.ts';

/** Each by its program's name; the package is another's. */
const packages = { makedumpfile: 'makedumpfile', crash: 'crash', kexec: 'kexec-tools' } as const;

export type PeerName = keyof typeof packages;

export type Peer = {
  name: PeerName;
  /** Debian's version of the package. */
  version: string;
  /** Program and first arguments that start it, for callers that run it themselves (benchmarks). */
  command: readonly string[];
  run(args: readonly string[], options?: RunOptions): Promise<Finished>;
};

/** Debian 13's makedumpfile 1.7.6 still takes every free and offline page of kernel 6.12 for a used one. */
const suites: readonly Suite[] = ['sid'];

/** A tool with its libraries, downloaded and unpacked when the cache lacks it. */
export async function peer(name: PeerName): Promise<Peer> {
  const found = await newest(suites, packages[name]);
  const tree = await unpacked(suites, found, false);
  const libraries = libraryDirectories(tree);
  const loader = libraries
    .map((directory) => join(directory, 'ld-linux-x86-64.so.2'))
    .find((path) => existsSync(path) && statSync(path).isFile());
  const program = ['usr/bin', 'usr/sbin', 'sbin', 'bin']
    .map((directory) => join(tree, directory, name))
    .find((path) => existsSync(path));
  if (loader === undefined || program === undefined) {
    throw new KdumpError('lab-peer', `${tree} holds no ${loader === undefined ? 'dynamic loader' : name}`);
  }
  const command = [loader, '--library-path', libraries.join(':'), program];
  return {
    name,
    version: found.version,
    command,
    run: (args, options) => run(command[0]!, [...command.slice(1), ...args], options),
  };
}

/** A peer's program with the libraries it needs, as files on a guest's disk: `peer/ld.so --library-path peer peer/NAME`. */
export async function peerFiles({ name, command }: Peer): Promise<DiskFiles> {
  const [loader, , , program] = command as [string, string, string, string];
  const stdout = await check(loader, [...command.slice(1, 3), '--list', program]);
  const libraries = [...stdout.matchAll(/=> (\/\S+)/g)].map((match) => match[1]!);
  return {
    'peer/ld.so': loader,
    [`peer/${name}`]: program,
    ...Object.fromEntries(libraries.map((path) => [`peer/${basename(path)}`, path])),
  };
}

/** Directories of a tree that hold shared objects; a private directory of one package (as systemd's) counts too. */
function libraryDirectories(tree: string): string[] {
  const triplet = [
    'usr/lib/x86_64-linux-gnu',
    'lib/x86_64-linux-gnu',
    'usr/lib64',
    'lib64',
    'usr/lib',
    'lib',
  ];
  return triplet
    .map((directory) => join(tree, directory))
    .filter(
      (directory) => existsSync(directory) && readdirSync(directory).some((file) => /\.so\b/.test(file)),
    );
}
