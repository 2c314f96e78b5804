import type { Compression } from './crew/page-compressor.ts';
import type { ByteStream } from './output/byte-stream.ts';

/** What to dump, how, and where to. */
export type CollectRequest = {
  /** One vmcore or dump, or all parts of a split set. */
  readonly inputs: readonly string[];
  readonly target: DumpTarget;
  readonly format: 'kdump' | 'elf';
  /** 0 to 31, in the order in which they are tried while there is too little space. */
  readonly dumpLevels: readonly number[];
  readonly compression: Compression;
  /** Threads that compress, the main one included; undefined: as many as CPUs and memory allow. */
  readonly threads: number | undefined;
  /** Size at which each output counts as full, bytes. */
  readonly limit: number | undefined;
  /** Bytes of bitmap that may be held; undefined: 4 MiB. */
  readonly cycleBytes: number | undefined;
  /** Read the input instead of mapping it. */
  readonly mapped: boolean;
  /** Also leave out struct pages that describe only pages that are left out. */
  readonly excludeVmemmap: boolean;
  /** File that describes the kernel in place of the dump itself (-i). */
  readonly vmcoreinfoFile: string | undefined;
  /** Kernel image with symbols and types (-x). */
  readonly vmlinux: string | undefined;
  /** File that tells what to erase. */
  readonly eraseConfig: string | undefined;
};

export type DumpTarget =
  | { readonly kind: 'file'; readonly path: string; readonly overwrite: boolean }
  | {
      readonly kind: 'split';
      readonly paths: readonly string[];
      readonly overwrite: boolean;
      /** Granularity of the division, bytes. */
      readonly block: number | undefined;
    }
  /** A flattened stream, to standard output unless something else takes it. */
  | { readonly kind: 'stream'; readonly output?: ByteStream }
  /** Everything but the output; `paths` are what they would be. */
  | { readonly kind: 'nothing'; readonly paths: readonly string[] };

/** A request with everything at its default but what is given. */
export function collectRequest(
  inputs: readonly string[],
  target: DumpTarget,
  rest: Partial<CollectRequest> = {},
): CollectRequest {
  return {
    inputs,
    target,
    format: 'kdump',
    dumpLevels: [0],
    compression: 'none',
    threads: undefined,
    limit: undefined,
    cycleBytes: undefined,
    mapped: true,
    excludeVmemmap: false,
    vmcoreinfoFile: undefined,
    vmlinux: undefined,
    eraseConfig: undefined,
    ...rest,
  };
}
