import { isMissing } from '../../kernel/memory.ts';
import { disjointPieces, type ErasePiece, eraseFill, nullFill } from './apply.ts';
import { type EraseCommand, type ForLoop, parseEraseConfig } from './config.ts';
import { Evaluator, type Extent, type Located, maxErase, Unresolved } from './evaluate.ts';
import type { EraseKernel } from './kernel.ts';

/** What is to be erased from a dump. */
export type ErasePlan = {
  /** Disjoint, in ascending order; plain data. */
  readonly pieces: readonly ErasePiece[];
  /** Commands that have no effect or less than one would expect, each with file and line. */
  readonly messages: readonly string[];
  /**
   * The text that tells a reader of the dump what was erased: a line for every place that a command erased, in the
   * order of the commands. Of what lies in pages that are not dumped nothing is said.
   * @param isDumped whether a page frame is in the dump
   */
  info(isDumped: (pfn: number) => boolean): string;
};

/** Something that was found once: a later command that starts at the same byte adds only what it erases beyond. */
type Place = {
  readonly command: EraseCommand;
  bytes: number;
  runs: readonly Run[];
};
type Run = { readonly paddr: number; readonly length: number };

/** Most places that are erased; they are kept in memory. */
const maxPlaces = 2 ** 20;
/** Messages that are kept; a list can make a million. */
const maxMessages = 100;

/**
 * Finds in a kernel's memory what a file of erase commands asks to erase.
 * @param text of the file
 * @param path of it, for errors and messages
 * @throws KdumpError `bad-erase-config`, `unknown-type`
 */
export function planErase(text: string, path: string, kernel: EraseKernel): ErasePlan {
  const planner = new Planner(path, kernel.pageSize);
  for (const section of parseEraseConfig(text, path)) {
    if (section.module === 'vmlinux') {
      planner.run(section.commands, kernel);
      continue;
    }
    const module = kernel.module?.(section.module);
    if (module === undefined) {
      planner.tell(
        section,
        `module ${section.module} is not loaded, or its debug information is not there: section skipped`,
      );
      continue;
    }
    planner.run(section.commands, { ...kernel, ...module });
  }
  return planner.plan();
}

class Planner {
  readonly #path: string;
  readonly #pageSize: number;
  readonly #messages: string[] = [];
  #moreMessages = 0;
  /** By the physical address of its first byte. */
  readonly #places = new Map<number, Place>();
  readonly #order = new Map<EraseCommand, Place[]>();

  constructor(path: string, pageSize: number) {
    this.#path = path;
    this.#pageSize = pageSize;
  }

  run(commands: readonly (EraseCommand | ForLoop)[], kernel: EraseKernel): void {
    const evaluator = new Evaluator(kernel, this.#path);
    for (const command of commands) {
      if (command.kind === 'erase') {
        this.#erase(command, undefined, evaluator, kernel);
        continue;
      }
      this.#attempt(command, () => {
        for (const element of evaluator.elements(command, (remark) => this.tell(command, remark))) {
          for (const each of command.body) this.#erase(each, element, evaluator, kernel);
        }
      });
    }
  }

  tell(at: { readonly line: number }, remark: string): void {
    const message = `${this.#path}:${at.line}: ${remark}`;
    if (this.#messages.includes(message)) return;
    if (this.#messages.length < maxMessages) this.#messages.push(message);
    else this.#moreMessages++;
  }

  plan(): ErasePlan {
    const places = [...this.#places.values()];
    const pieces = disjointPieces(
      places.flatMap(({ runs, command }) =>
        runs.map((run) => ({ ...run, fill: command.nullify ? nullFill : eraseFill })),
      ),
    );
    const more = this.#moreMessages;
    const messages =
      more === 0 ? this.#messages : [...this.#messages, `${this.#path}: ${more} more such places`];
    const order = [...this.#order];
    return { pieces, messages, info: (isDumped) => eraseinfo(order, this.#pageSize, isDumped) };
  }

  #erase(
    command: EraseCommand,
    element: Located | undefined,
    evaluator: Evaluator,
    kernel: EraseKernel,
  ): void {
    this.#attempt(command, () => {
      const extent = command.nullify
        ? evaluator.pointerExtent(command.what, element)
        : evaluator.extent(command.what, command.size, element);
      if (extent !== undefined) this.#add(command, extent, kernel);
    });
  }

  /** What cannot be found is not erased, and said; everything else still is. */
  #attempt(command: EraseCommand | ForLoop, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof Unresolved)) throw error;
      this.tell(command, error.message);
    }
  }

  #add(command: EraseCommand, extent: Extent, kernel: EraseKernel): void {
    if (extent.bytes > maxErase)
      this.tell(command, `${command.what.text}: a size of more than ${maxErase} bytes: no more are erased`);
    const bytes = Math.min(extent.bytes, maxErase);
    const runs = this.#translate(command, { address: extent.address, bytes }, kernel);
    const first = runs[0];
    if (first === undefined) return;
    const known = this.#places.get(first.paddr);
    if (known !== undefined) {
      if (known.bytes < bytes) {
        known.bytes = bytes;
        known.runs = runs;
      }
      return;
    }
    if (this.#places.size >= maxPlaces) {
      this.tell(command, `more than ${maxPlaces} places are to be erased: the rest is not`);
      return;
    }
    const place = { command, bytes, runs };
    this.#places.set(first.paddr, place);
    const places = this.#order.get(command);
    if (places === undefined) this.#order.set(command, [place]);
    else places.push(place);
  }

  /** Physical memory of a virtual range, page by page as far as it is mapped: neighbours need not be neighbours there. */
  #translate(command: EraseCommand, extent: Extent, kernel: EraseKernel): Run[] {
    const runs: Run[] = [];
    let unmapped = 0;
    for (let done = 0; done < extent.bytes; ) {
      const vaddr = BigInt.asUintN(64, extent.address + BigInt(done));
      const left = extent.bytes - done;
      const run = kernel.memory.translate(vaddr);
      if (isMissing(run)) {
        const length = Math.min(left, this.#pageSize - Number(vaddr % BigInt(this.#pageSize)));
        unmapped += length;
        done += length;
        continue;
      }
      const length = Math.min(left, run.length);
      const last = runs.at(-1);
      if (last !== undefined && last.paddr + last.length === run.paddr)
        runs[runs.length - 1] = { paddr: last.paddr, length: last.length + length };
      else runs.push({ paddr: run.paddr, length });
      done += length;
    }
    if (unmapped > 0) {
      this.tell(
        command,
        `${command.what.text}: ${unmapped} of ${extent.bytes} bytes at 0x${BigInt.asUintN(64, extent.address).toString(16)} are not mapped`,
      );
    }
    return runs;
  }
}

/** As makedumpfile writes it. */
function eraseinfo(
  order: readonly (readonly [EraseCommand, readonly Place[]])[],
  pageSize: number,
  isDumped: (pfn: number) => boolean,
): string {
  const lines: string[] = [];
  for (const [command, places] of order) {
    for (const place of places) {
      let erased = 0;
      for (const { paddr, length } of place.runs) {
        for (let at = paddr; at < paddr + length; ) {
          const pfn = Math.floor(at / pageSize);
          const end = Math.min(paddr + length, (pfn + 1) * pageSize);
          if (isDumped(pfn)) erased += end - at;
          at = end;
        }
      }
      if (erased === 0) continue;
      lines.push(`erase ${command.what.text} ${command.nullify ? 'nullify' : `size ${erased}`}\n`);
    }
  }
  return lines.join('');
}
