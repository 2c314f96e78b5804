import { type KernelCore, known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import { readText } from '../../kernel/object.ts';

/** A place in code that holds a BUG() or a WARN(), with the line of source that it is of. */
export type BugSite = {
  /** Its instruction (ud2). */
  readonly address: bigint;
  /** As the compiler was given it; undefined of a kernel that does not keep it (CONFIG_DEBUG_BUGVERBOSE). */
  readonly file: string | undefined;
  readonly line: number;
  readonly warning: boolean;
  /** Of a warning that is given once: whether it was. */
  readonly once: boolean;
  readonly done: boolean;
};

/** BUGFLAG_ (include/asm-generic/bug.h). */
const [warning, once, done] = [1, 2, 4] as const;
const mostEntries = 2 ** 20;

type Raw = { readonly address: bigint; readonly file: bigint; readonly line: number; readonly flags: number };

/** All places of BUG() and WARN() of a kernel and its modules (struct bug_entry): what tells lines without DWARF. */
export class BugTable {
  readonly #core: KernelCore;
  readonly #entries: readonly Raw[];
  readonly #texts = new Map<bigint, string | undefined>();

  constructor(kernel: Kernel) {
    const { core } = kernel;
    this.#core = core;
    const start = core.address('__start___bug_table');
    const end = core.address('__stop___bug_table');
    const own = start !== undefined && end !== undefined ? readTable(core, start, end - start) : [];
    const ofModules = kernel.modules.flatMap(({ object }) => {
      const table = known(object.find('bug_table')?.integer());
      const count = known(object.find('num_bugs')?.number());
      const size = core.type('bug_entry')?.size ?? 0;
      return table && count ? readTable(core, table, BigInt(count * size)) : [];
    });
    this.#entries = [...own, ...ofModules];
  }

  /** What is at an instruction. */
  at(address: bigint): BugSite | undefined {
    const entry = this.#entries.find((each) => each.address === address);
    return entry && this.#site(entry);
  }

  /** Warnings that are given once and were, since the boot: also those that the log has lost. */
  warned(): BugSite[] {
    return this.#entries
      .filter(({ flags }) => (flags & (once | done)) === (once | done))
      .map((entry) => this.#site(entry));
  }

  #site({ address, file, line, flags }: Raw): BugSite {
    if (!this.#texts.has(file))
      this.#texts.set(file, file ? known(readText(this.#core.memory, file)) : undefined);
    return {
      address,
      file: this.#texts.get(file)?.replace(/^(\.\/)+/, ''),
      line,
      warning: (flags & warning) !== 0,
      once: (flags & once) !== 0,
      done: (flags & done) !== 0,
    };
  }
}

function readTable(core: KernelCore, start: bigint, length: bigint): Raw[] {
  const type = core.type('bug_entry');
  const place = type?.place('bug_addr_disp');
  const flags = type?.place('flags');
  if (type === undefined || place === undefined || flags === undefined || type.size === 0) return [];
  const count = Math.min(Number(length) / type.size, mostEntries);
  const bytes = core.memory.read(start, Math.floor(count) * type.size);
  if (isMissing(bytes)) return [];
  const table = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const [file, line] = [type.place('file_disp'), type.place('line')];
  // Distances from the entry itself until 5.11 or so, then each from its own place: the strings tell.
  const from = file === undefined ? 0 : fileBase(core, start, table, type.size, file.offset);
  return Array.from({ length: Math.floor(count) }, (_, i) => {
    const at = i * type.size;
    const entry = start + BigInt(at);
    return {
      address: entry + BigInt(place.offset + table.readInt32LE(at + place.offset)),
      file: file === undefined ? 0n : entry + BigInt(from + table.readInt32LE(at + file.offset)),
      line: line === undefined ? 0 : table.readUInt16LE(at + line.offset),
      flags: table.readUInt16LE(at + flags.offset),
    };
  });
}

const entriesToTry = 8;

/** What distances of file names count from: the byte at which more of them lead to whole names of files. */
function fileBase(core: KernelCore, start: bigint, table: Buffer, size: number, member: number): number {
  const hits = (base: number): number => {
    let count = 0;
    for (let at = 0; at < Math.min(table.length, entriesToTry * size); at += size) {
      const text = readText(core.memory, start + BigInt(at + base + table.readInt32LE(at + member)) - 1n);
      // In front of a name is the end of another string.
      if (text === '') {
        const name = readText(core.memory, start + BigInt(at + base + table.readInt32LE(at + member)));
        if (typeof name === 'string' && /^[\w./+-]+\.[chS]$/.test(name)) count++;
      }
    }
    return count;
  };
  return hits(0) > hits(member) ? 0 : member;
}
