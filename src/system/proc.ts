import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../lib/errors.ts';

/**
 * What /proc and /sys say about the machine, below an injectable root directory, so that a tree of plain files can
 * stand in for a machine. Readers answer null for what is not there or not readable: that is a fact, not an error.
 */

/** Text of ROOT/path, or null when it is absent or not readable. */
export function readText(root: string, path: string): string | null {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return null;
  }
}

/** A decimal integer that stands alone in a file, or null. */
export function readInteger(root: string, path: string): number | null {
  const text = readText(root, path)?.trim();
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : null;
}

/** The bytes of ROOT/path, or null when it is absent or not readable. */
export function readBytes(root: string, path: string): Uint8Array | null {
  try {
    return readFileSync(join(root, path));
  } catch {
    return null;
  }
}

/** A hexadecimal number of at most 64 bits that stands alone in a file, with or without 0x; or null. */
export function readHex(root: string, path: string): bigint | null {
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(readText(root, path)?.trim() ?? '')?.[1];
  return digits === undefined ? null : BigInt(`0x${digits}`);
}

/** Numbers of the entries of ROOT/path whose names are `prefix` and a decimal number, ascending; none if it is absent. */
export function numberedEntries(root: string, path: string, prefix = ''): number[] {
  let names: string[];
  try {
    names = readdirSync(join(root, path));
  } catch {
    return [];
  }
  return names
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b);
}

/** One line of /proc/iomem: physical addresses in bytes, `end` is the last byte of the range. */
export type IomemRange = {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  readonly children: readonly IomemRange[];
};

export type Iomem = {
  readonly ranges: readonly IomemRange[];
  /** The kernel shows only zeros to readers without CAP_SYS_ADMIN: names are good, addresses are not. */
  readonly hidden: boolean;
};

/**
 * Reads /proc/iomem's text: a range a line, two spaces of indentation for each level of nesting.
 * @throws KdumpError `bad-iomem` for a line that is none of this.
 */
export function parseIomem(text: string, name = '/proc/iomem'): Iomem {
  type Open = { start: number; end: number; name: string; children: Open[] };
  const top: Open[] = [];
  /** The innermost range seen at each depth. */
  const path: Open[] = [];
  let hidden = true;
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const match = /^( *)([0-9a-f]+)-([0-9a-f]+) : (.*)$/.exec(line);
    const depth = match === null ? 0 : match[1]!.length / 2;
    const start = Number.parseInt(match?.[2] ?? '', 16);
    const end = Number.parseInt(match?.[3] ?? '', 16);
    if (
      match === null ||
      !Number.isSafeInteger(end) ||
      start > end ||
      !Number.isInteger(depth) ||
      depth > path.length
    )
      throw new KdumpError(
        'bad-iomem',
        `${name}, line ${index + 1}: not a range of memory: ${JSON.stringify(line)}`,
      );
    if (end !== 0) hidden = false;
    const range: Open = { start, end, name: match[4]!, children: [] };
    path.length = depth;
    (path.at(-1)?.children ?? top).push(range);
    path.push(range);
  }
  return { ranges: top, hidden: hidden && top.length > 0 };
}

/** ROOT/proc/iomem, or null. @throws KdumpError as parseIomem. */
export function readIomem(root: string): Iomem | null {
  const text = readText(root, 'proc/iomem');
  return text === null ? null : parseIomem(text, join(root, 'proc/iomem'));
}

/** All ranges of exactly this name at any depth, in the order of the file. */
export function rangesNamed(ranges: readonly IomemRange[], name: string): IomemRange[] {
  return ranges.flatMap((range) => [
    ...(range.name === name ? [range] : []),
    ...rangesNamed(range.children, name),
  ]);
}

/** /proc/cmdline without its newline, or null. */
export function readCommandLine(root: string): string | null {
  return readText(root, 'proc/cmdline')?.replace(/\n$/, '') ?? null;
}

/** MemTotal of /proc/meminfo in bytes (the kernel's totalram_pages()), or null. */
export function readMemTotal(root: string): number | null {
  const kib = /^MemTotal:\s+(\d+) kB$/m.exec(readText(root, 'proc/meminfo') ?? '')?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

export type KexecState = {
  /** An image for a normal kexec reboot is loaded. */
  readonly loaded: boolean | null;
  /** A crash kernel is loaded: the machine is armed. */
  readonly crashLoaded: boolean | null;
  /** Reserved by crashkernel=, in bytes; 0 when nothing is. */
  readonly crashSize: number | null;
  /** Bytes that the kernel sets aside for its ELF core header so that it can update it, where it does. */
  readonly elfcorehdrSize: number | null;
};

/** [since late 2025 the files live in a directory of their own, the old names are links to them] */
const kexecFiles = {
  loaded: ['sys/kernel/kexec/loaded', 'sys/kernel/kexec_loaded'],
  crashLoaded: ['sys/kernel/kexec/crash_loaded', 'sys/kernel/kexec_crash_loaded'],
  crashSize: ['sys/kernel/kexec/crash_size', 'sys/kernel/kexec_crash_size'],
  elfcorehdrSize: ['sys/kernel/kexec/crash_elfcorehdr_size', 'sys/kernel/crash_elfcorehdr_size'],
} as const;

/** What the kernel says is loaded and reserved; all null when it was built without kexec or /sys is not mounted. */
export function readKexecState(root: string): KexecState {
  const first = (paths: readonly string[]) =>
    paths.map((path) => readInteger(root, path)).find((value) => value !== null) ?? null;
  const flag = (paths: readonly string[]) => {
    const value = first(paths);
    return value === null ? null : value !== 0;
  };
  return {
    loaded: flag(kexecFiles.loaded),
    crashLoaded: flag(kexecFiles.crashLoaded),
    crashSize: first(kexecFiles.crashSize),
    elfcorehdrSize: first(kexecFiles.elfcorehdrSize),
  };
}

/** The kernel lockdown level in force ("none", "integrity", "confidentiality"), or null when it has none. */
export function readLockdown(root: string): string | null {
  return /\[(\w+)\]/.exec(readText(root, 'sys/kernel/security/lockdown') ?? '')?.[1] ?? null;
}

/** The sysctls that can forbid loading; a limit of -1 is none, 0 is used up. Null: this kernel has no such sysctl. */
export function readKexecSysctls(root: string): {
  readonly loadDisabled: boolean | null;
  readonly limitPanic: number | null;
  readonly limitReboot: number | null;
} {
  const disabled = readInteger(root, 'proc/sys/kernel/kexec_load_disabled');
  return {
    loadDisabled: disabled === null ? null : disabled !== 0,
    limitPanic: readInteger(root, 'proc/sys/kernel/kexec_load_limit_panic'),
    limitReboot: readInteger(root, 'proc/sys/kernel/kexec_load_limit_reboot'),
  };
}

/** Bit numbers of linux/capability.h. */
export const capabilities = { CAP_SYS_ADMIN: 21, CAP_SYS_BOOT: 22 } as const;

/** Whether this process has the capability in its effective set (CapEff), or null when that cannot be read. */
export function hasCapability(root: string, capability: number): boolean | null {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText(root, 'proc/self/status') ?? '')?.[1];
  return mask === undefined ? null : ((BigInt(`0x${mask}`) >> BigInt(capability)) & 1n) === 1n;
}

/** How many CPUs could ever be present (/sys/devices/system/cpu/possible, e.g. "0-3,8"), or null. */
export function readPossibleCpus(root: string): number | null {
  const text = readText(root, 'sys/devices/system/cpu/possible')?.trim();
  if (text === undefined || !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return null;
  return text.split(',').reduce((sum, part) => {
    const [first, last] = part.split('-').map(Number);
    return sum + (last ?? first!) - first! + 1;
  }, 0);
}

/** Whether 5-level page tables are in use: the kernel drops the CPU flag when they are not. Null: not readable. */
export function readFiveLevel(root: string): boolean | null {
  const flags = /^flags\s*:(.*)$/m.exec(readText(root, 'proc/cpuinfo') ?? '')?.[1];
  return flags === undefined ? null : flags.split(' ').includes('la57');
}

/** Node's names of architectures, as `uname -m` spells them. */
const machineNames: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  ia32: 'i686',
  ppc64: 'ppc64le',
};

/** The kernel's machine name, e.g. "x86_64": from the root, and from this process where a kernel is too old to say. */
export function readMachineName(root: string): string {
  return readText(root, 'proc/sys/kernel/arch')?.trim() ?? machineNames[process.arch] ?? process.arch;
}

/** Release of the running kernel, or null. */
export function readKernelRelease(root: string): string | null {
  return readText(root, 'proc/sys/kernel/osrelease')?.trim() ?? null;
}

/** Where the kernel keeps its VMCOREINFO note, as /sys/kernel/vmcoreinfo tells: physical address and bytes; or null. */
export function readVmcoreinfoPlace(root: string): { readonly paddr: number; readonly size: number } | null {
  const match = /^(?:0x)?([0-9a-f]+) (?:0x)?([0-9a-f]+)$/.exec(
    readText(root, 'sys/kernel/vmcoreinfo')?.trim() ?? '',
  );
  if (match === null) return null;
  const paddr = Number.parseInt(match[1]!, 16);
  const size = Number.parseInt(match[2]!, 16);
  // No kernel's note is larger than a few pages.
  return Number.isSafeInteger(paddr) && size > 0 && size <= 2 ** 20 ? { paddr, size } : null;
}
