import { lineFile } from '../formats/dwarf/line-files.ts';
import { type LineUnit, lineUnits, lowHalf, runLineProgram } from '../formats/dwarf/line-program.ts';
import type { SectionBytes } from '../formats/elf-sections.ts';

/** Most bytes of debug information that are taken into memory at once. */
const maxSection = 2 ** 30;

/** Which source lines instructions come from, by .debug_line of a vmlinux. Addresses as linked, in the kernel's image. */
export class SourceLines {
  readonly #sections: {
    readonly line: SectionBytes;
    readonly str: SectionBytes;
    readonly lineStr: SectionBytes;
  };
  #bytes: Buffer | undefined;
  #index: Runs | undefined;
  readonly #asked = new Map<bigint, string | undefined>();

  constructor(sections: {
    readonly line: SectionBytes;
    readonly str: SectionBytes;
    readonly lineStr: SectionBytes;
  }) {
    this.#sections = sections;
  }

  /** 'kernel/panic.c: 341'; undefined when nothing is known of an address. */
  at(address: bigint): string | undefined {
    if (!this.#asked.has(address)) this.#asked.set(address, this.#find(Number(address & lowHalf)));
    return this.#asked.get(address);
  }

  #find(address: number): string | undefined {
    const bytes = this.#all();
    const unit = this.#runs().find(address)?.unit;
    if (unit === undefined) return undefined;
    let found: { file: number; line: number } | undefined;
    runLineProgram(bytes, unit, (from, to, file, line) => {
      if (address >= from && address < to) found = { file, line };
    });
    if (found === undefined) return undefined;
    const file = lineFile(bytes.subarray(unit.start, unit.end), found.file, {
      str: (offset) => text(this.#sections.str, offset),
      lineStr: (offset) => text(this.#sections.lineStr, offset),
    });
    return file === undefined ? undefined : `${file}: ${found.line}`;
  }

  #all(): Buffer {
    const { line } = this.#sections;
    this.#bytes ??= Buffer.from(line.size > maxSection ? new Uint8Array(0) : line.read(0, line.size));
    return this.#bytes;
  }

  /** All programs are run once: what each unit's code reaches over is told nowhere else. */
  #runs(): Runs {
    if (this.#index !== undefined) return this.#index;
    const runs: Run[] = [];
    for (const unit of lineUnits(this.#all())) {
      let last: { start: number; end: number; unit: LineUnit } | undefined;
      try {
        runLineProgram(this.#all(), unit, (from, to) => {
          if (last !== undefined && last.end === from) last.end = to;
          // What was thrown away when it was linked begins at 0.
          else if (from >= imageStart) {
            last = { start: from, end: to, unit };
            runs.push(last);
          }
        });
      } catch (error) {
        // Damaged debug information tells nothing of this unit.
        if (!(error instanceof RangeError)) throw error;
      }
    }
    this.#index = new Runs(runs);
    return this.#index;
  }
}

/** A piece of code without a gap that one unit describes. */
type Run = { readonly start: number; readonly end: number; readonly unit: LineUnit };

class Runs {
  readonly #sorted: readonly Run[];

  constructor(runs: readonly Run[]) {
    this.#sorted = [...runs].sort((a, b) => a.start - b.start);
  }

  /** The run that an address lies in. */
  find(address: number): Run | undefined {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle]!.start <= address) low = middle + 1;
      else high = middle;
    }
    const run = this.#sorted[low - 1];
    return run !== undefined && address < run.end ? run : undefined;
  }
}

/** The kernel's image is linked to the last two gigabytes of the address space. */
const imageStart = 0x8000_0000;
const maxPath = 4096;

function text(section: SectionBytes, offset: number): string {
  const bytes = Buffer.from(section.read(offset, maxPath));
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}
