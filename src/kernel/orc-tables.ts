import {
  decodeOrc,
  type OrcEntry,
  type OrcVersion,
  orcEntryBytes,
  orcIpBytes,
  orcVersionOfHeader,
  orcVersionOfLayout,
} from '../formats/orc.ts';
import { type KernelCore, known } from './core.ts';
import { isMissing } from './memory.ts';
import type { KernelModule } from './modules.ts';

/** Half a million entries in a kernel. */
const maxEntries = 2 ** 24;
const headerBytes = 20;

/** A table: the addresses, each relative to its own place, ascending; and an entry for each. */
type Table = { readonly ips: bigint; readonly entries: bigint; readonly count: number };

export type OrcLookup = {
  /** The entry that covers an instruction: the last one at or before it; undefined when no table covers it. */
  find(ip: bigint): OrcEntry | undefined;
};

/**
 * The ORC tables of the kernel and its modules. Look-ups bisect them where they lie: nothing is copied. What is asked for
 * twice is remembered.
 */
export class OrcTables implements OrcLookup {
  readonly #core: KernelCore;
  readonly #modules: () => readonly KernelModule[];
  readonly version: OrcVersion;
  readonly #kernel: Table;
  readonly #tables = new Map<KernelModule, Table | undefined>();
  readonly #found = new Map<bigint, OrcEntry | undefined>();

  private constructor(
    core: KernelCore,
    modules: () => readonly KernelModule[],
    version: OrcVersion,
    kernel: Table,
  ) {
    this.#core = core;
    this.#modules = modules;
    this.version = version;
    this.#kernel = kernel;
  }

  /** @returns undefined when the kernel was built without (frame pointers, another architecture), or nothing tells which kind it is */
  static open(core: KernelCore, modules: () => readonly KernelModule[]): OrcTables | undefined {
    const [ips, stop, entries] = [
      core.address('__start_orc_unwind_ip'),
      core.address('__stop_orc_unwind_ip'),
      core.address('__start_orc_unwind'),
    ];
    if (ips === undefined || stop === undefined || entries === undefined || stop <= ips) return undefined;
    const count = Number(stop - ips) / orcIpBytes;
    const version = versionOf(core);
    if (version === undefined || !Number.isInteger(count) || count > maxEntries) return undefined;
    return new OrcTables(core, modules, version, { ips, entries, count });
  }

  find(ip: bigint): OrcEntry | undefined {
    if (!this.#found.has(ip)) this.#found.set(ip, this.#search(ip));
    return this.#found.get(ip);
  }

  #search(ip: bigint): OrcEntry | undefined {
    const module = this.#modules().find((each) => each.contains(ip));
    const table = module === undefined ? this.#kernel : this.#tableOf(module);
    if (table === undefined) return undefined;
    let low = 0;
    let high = table.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = table.ips + BigInt(orcIpBytes * middle);
      const relative = known(this.#core.i32(at));
      if (relative === undefined) return undefined;
      if (at + BigInt(relative) <= ip) low = middle + 1;
      else high = middle;
    }
    // Before the first and behind the last is what the table does not know.
    if (low === 0 || (module === undefined && low === table.count && !this.#isText(ip))) return undefined;
    const bytes = this.#core.memory.read(table.entries + BigInt(orcEntryBytes * (low - 1)), orcEntryBytes);
    return isMissing(bytes) ? undefined : decodeOrc(bytes, this.version);
  }

  #isText(ip: bigint): boolean {
    const end = this.#core.address('_end');
    return end !== undefined && ip < end;
  }

  /** struct mod_arch_specific; the kernel sorts these when it loads a module. */
  #tableOf(module: KernelModule): Table | undefined {
    if (!this.#tables.has(module)) {
      const part = (name: string): bigint | undefined => known(module.object.find(`arch.${name}`)?.integer());
      const [ips, entries, count] = [part('orc_unwind_ip'), part('orc_unwind'), part('num_orcs')];
      const whole = ips && entries && count && count <= BigInt(maxEntries);
      this.#tables.set(module, whole ? { ips, entries, count: Number(count) } : undefined);
    }
    return this.#tables.get(module);
  }
}

/** The header says it; kernels before 6.3, and some of distributions later, by what their types and orc_fp_entry are. */
function versionOf(core: KernelCore): OrcVersion | undefined {
  const at = core.address('__start_orc_header');
  const header = at === undefined ? undefined : known(core.memory.read(at, headerBytes));
  const byHeader = header && orcVersionOfHeader(header);
  if (byHeader !== undefined) return byHeader;
  const entry = core.type('orc_entry');
  if (entry === undefined) return undefined;
  const pointer = core.address('orc_fp_entry');
  const bytes = pointer === undefined ? undefined : known(core.memory.read(pointer, orcEntryBytes));
  const has = (name: string): boolean => entry.place(name) !== undefined;
  return orcVersionOfLayout({ signal: has('signal'), end: has('end') }, bytes);
}
