import { readFileSync } from 'node:fs';
import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { decodeUtsname } from '../kernel/utsname.ts';
import { checkVmlinux, kernelOffset, relocatedSymbols } from '../kernel/vmlinux.ts';
import { KdumpError } from '../lib/errors.ts';
import { EraseFilter } from './erase/apply.ts';
import { planErase } from './erase/plan.ts';
import type { Erasure } from './erasure.ts';
import type { PageMap } from './filter/page-map.ts';
import type { DumpSource } from './input/source.ts';
import { checkRelease, parseVmcoreinfoFile, vmcoreinfoOf, withVmcoreinfoFile } from './vmcoreinfo-file.ts';
import { openVmlinuxFile, type VmlinuxFile } from './vmlinux-file.ts';

/** Files beside the dump that tell about its kernel (-i, -x). */
export type DescriptionFiles = {
  readonly vmcoreinfoFile: string | undefined;
  readonly vmlinux: string | undefined;
};

/** What is known of a dump's kernel from files beside it. */
export class KernelDescription {
  /** Takes the place of the dump's own; undefined when there is nothing but that. */
  readonly vmcoreinfo: Vmcoreinfo | undefined;
  readonly #source: DumpSource;
  readonly #file: { readonly info: Vmcoreinfo; readonly path: string } | undefined;
  readonly #vmlinux: VmlinuxFile | undefined;

  /** @throws KdumpError for a file that cannot be read, or is of another kernel */
  constructor(source: DumpSource, { vmcoreinfoFile, vmlinux }: DescriptionFiles) {
    this.#source = source;
    const own = source.vmcoreinfo;
    if (vmlinux !== undefined) {
      this.#vmlinux = openVmlinuxFile(vmlinux);
      if (own !== undefined) checkVmlinux(this.#vmlinux.vmlinux, own, source.path);
      const pageSize = own?.pageSize ?? source.made?.blockSize ?? source.arch?.pageSize ?? 4096;
      // A kernel that describes itself is not described again: what it says is what it is.
      const text = own === undefined ? vmcoreinfoOf(this.#vmlinux.vmlinux, pageSize) : undefined;
      this.vmcoreinfo = text === undefined ? undefined : parseVmcoreinfoFile(text, vmlinux);
    } else if (vmcoreinfoFile !== undefined) {
      const info = parseVmcoreinfoFile(readText(vmcoreinfoFile), vmcoreinfoFile);
      this.#file = { info, path: vmcoreinfoFile };
      this.vmcoreinfo = withVmcoreinfoFile(info, own);
    }
  }

  /** @throws KdumpError `wrong-release`, exit code 2, when the file of -i is of another kernel than the dump */
  check({ kernel }: PageMap): void {
    const { utsname } = kernel ?? {};
    const release =
      utsname === undefined ? this.#source.vmcoreinfo?.osrelease : decodeUtsname(utsname).release;
    if (this.#file !== undefined && release !== undefined)
      checkRelease(this.#file.info, this.#file.path, release, this.#source.path);
  }

  /**
   * What a file of erase commands asks to erase.
   * @throws KdumpError for a file that is wrong, or a kernel of which too little is known
   */
  erasure(configPath: string, map: PageMap, tell: (text: string) => void): Erasure {
    const { kernel, pageSize } = map;
    const info = this.vmcoreinfo ?? this.#source.vmcoreinfo;
    if (kernel === undefined || info === undefined)
      throw new KdumpError(
        'no-vmcoreinfo',
        `${this.#source.path}: no VMCOREINFO note, so nothing can be erased`,
      );
    const vmlinux = this.#vmlinux?.vmlinux;
    const symbols =
      vmlinux === undefined
        ? kernel.knowledge.symbols
        : relocatedSymbols(vmlinux.symbols, kernelOffset(info));
    const types = vmlinux?.types ?? kernel.knowledge.types;
    if (symbols === undefined || types === undefined) {
      throw new KdumpError(
        'no-types',
        `${this.#source.path}: ${symbols === undefined ? 'its symbols' : 'its type information (BTF)'} cannot be found, so nothing can be erased`,
        { fix: "Give the kernel's vmlinux with -x." },
      );
    }
    const plan = planErase(readText(configPath), configPath, {
      memory: kernel.memory,
      symbols,
      types,
      pageSize,
    });
    for (const text of plan.messages) tell(text);
    return {
      pieces: plan.pieces,
      editor: new EraseFilter(plan.pieces, pageSize),
      info: (isDumped) => Buffer.from(plan.info(isDumped), 'latin1'),
    };
  }

  close(): void {
    this.#vmlinux?.close();
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw new KdumpError('open-failed', `${path}: cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
