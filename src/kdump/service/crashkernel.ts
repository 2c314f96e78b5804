import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { parseSize } from '../../lib/size.ts';
import { readPageSize } from '../../system/page-size.ts';
import {
  rangesNamed,
  readCommandLine,
  readIomem,
  readMachineName,
  readMemTotal,
  readPossibleCpus,
} from '../../system/proc.ts';

const MIB = 2 ** 20;

/** What the size of the reservation depends on. */
export type CrashkernelFacts = {
  /** As `uname -m` says it. */
  readonly arch: string;
  /** Bytes. */
  readonly pageSize: number;
  /** The kernel encrypts its memory (AMD SME, SEV): bounce buffers are needed. */
  readonly memoryEncryption: boolean;
  readonly smmu: boolean;
  /** A Mellanox ConnectX-4 or later, whose driver takes much. */
  readonly mlx5: boolean;
  readonly cpus: number;
};

/** Reads it below `root`. */
export function readCrashkernelFacts(root: string): CrashkernelFacts {
  const entries = (path: string): string[] => {
    try {
      return readdirSync(join(root, path));
    } catch {
      return [];
    }
  };
  return {
    arch: readMachineName(root),
    pageSize: readPageSize(root),
    memoryEncryption:
      /\bmem_encrypt=on\b/.test(readCommandLine(root) ?? '') || existsSync(join(root, 'dev/sev-guest')),
    smmu: entries('sys/class/iommu').some((name) => name.startsWith('smmu')),
    mlx5: entries('sys/bus/pci/drivers/mlx5_core').some((name) => /^[\da-f]{4}:/.test(name)),
    cpus: readPossibleCpus(root) ?? 1,
  };
}

/** crashkernel= of the table for the machine below `root`. @throws KdumpError `unsupported-arch` */
export function tableCrashkernel(root: string): string {
  const facts = readCrashkernelFacts(root);
  const value = defaultCrashkernel(facts);
  if (value === null)
    throw new KdumpError('unsupported-arch', `no size of crashkernel= is known for ${facts.arch}`);
  return value;
}

/** From so much memory on, so much is reserved; MiB. */
type Step = readonly [from: number, size: number];

const GIB = 1024;
const tables: Readonly<Record<string, readonly Step[]>> = {
  x86_64: [
    [2 * GIB, 256],
    [64 * GIB, 512],
  ],
  s390x: [
    [2 * GIB, 256],
    [64 * GIB, 512],
  ],
  aarch64: [
    [2 * GIB, 256],
    [4 * GIB, 320],
    [64 * GIB, 576],
  ],
  ppc64le: [
    [2 * GIB, 384],
    [4 * GIB, 512],
    [16 * GIB, 1024],
    [64 * GIB, 2048],
    [128 * GIB, 4096],
  ],
};

/** What has to be added to every step, and why; MiB. */
function surplus({ arch, pageSize, memoryEncryption, smmu, mlx5, cpus }: CrashkernelFacts): number {
  const large = pageSize === 65536;
  switch (arch) {
    case 'x86_64':
      return memoryEncryption ? 64 : 0;
    case 'aarch64':
      return (large ? 100 : 0) + (large && smmu ? 384 : 0) + (mlx5 ? (large ? 200 : 150) : 0);
    case 'ppc64le':
      return cpus;
    default:
      return 0;
  }
}

/** crashkernel= of kdump-utils for this machine, such as "2G-64G:256M,64G-:512M"; null: the architecture has none. */
export function defaultCrashkernel(facts: CrashkernelFacts): string | null {
  const table = Object.hasOwn(tables, facts.arch) ? tables[facts.arch]! : null;
  if (table === null) return null;
  const more = surplus(facts);
  return table
    .map(([from, size], i) => {
      const next = table[i + 1]?.[0];
      return `${from / GIB}G-${next === undefined ? '' : `${next / GIB}G`}:${inUnits(size + more)}`;
    })
    .join(',');
}

const inUnits = (mib: number): string => (mib % GIB === 0 ? `${mib / GIB}G` : `${mib}M`);

/**
 * Bytes that the kernel would reserve for a value of crashkernel=: a size, or sizes by ranges of memory, with `@OFFSET`,
 * `,high`, `,low` or `,cma` left aside.
 * @param ram bytes of memory
 * @returns 0 when no range holds so much memory, null for a value that is none
 */
export function reservedBy(value: string, ram: number): number | null {
  const plain = value.replace(/@[\w]+$/, '').replace(/,(high|low|cma)$/, '');
  if (!plain.includes(':')) return sizeOf(plain);
  for (const part of plain.split(',')) {
    const [, from = '', to = '', size = ''] = /^([^-:]+)-([^:]*):(.+)$/.exec(part) ?? [];
    const first = sizeOf(from);
    const end = to === '' ? Number.POSITIVE_INFINITY : sizeOf(to);
    if (first === null || end === null) return null;
    if (ram >= first && ram < end) return sizeOf(size);
  }
  return 0;
}

function sizeOf(text: string): number | null {
  if (/^0[KMGT]?$/i.test(text)) return 0;
  try {
    return parseSize(text, 'crashkernel');
  } catch {
    return null;
  }
}

/** Bytes of memory that the machine has, what is reserved included; null when nothing tells. */
export function readMemorySize(root: string): number | null {
  const iomem = readIomem(root);
  if (iomem === null || iomem.hidden) return readMemTotal(root);
  const bytes = rangesNamed(iomem.ranges, 'System RAM').reduce(
    (sum, { start, end }) => sum + end - start + 1,
    0,
  );
  // The first pages and the firmware's own are no System RAM, but make a machine's 2 GiB.
  return Math.ceil(bytes / (128 * MIB)) * 128 * MIB;
}
