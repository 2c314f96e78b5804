import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CrashkernelFacts,
  defaultCrashkernel,
  readCrashkernelFacts,
  readMemorySize,
  reservedBy,
  tableCrashkernel,
} from '../../../src/kdump/service/crashkernel.ts';
import { errorOf, fixtureRoot } from '../../kexec/fixtures.ts';
import { withRoot } from '../config/fixtures.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const machine = (given: Partial<CrashkernelFacts> = {}): CrashkernelFacts => ({
  arch: 'x86_64',
  pageSize: 4096,
  memoryEncryption: false,
  smmu: false,
  mlx5: false,
  cpus: 8,
  ...given,
});

describe('the default', () => {
  test.each([
    [{}, '2G-64G:256M,64G-:512M'],
    [{ memoryEncryption: true }, '2G-64G:320M,64G-:576M'],
    [{ arch: 's390x' }, '2G-64G:256M,64G-:512M'],
    [{ arch: 'aarch64' }, '2G-4G:256M,4G-64G:320M,64G-:576M'],
    [{ arch: 'aarch64', pageSize: 65536 }, '2G-4G:356M,4G-64G:420M,64G-:676M'],
    [{ arch: 'aarch64', pageSize: 65536, smmu: true, mlx5: true }, '2G-4G:940M,4G-64G:1004M,64G-:1260M'],
    [{ arch: 'aarch64', mlx5: true, smmu: true }, '2G-4G:406M,4G-64G:470M,64G-:726M'],
    [{ arch: 'ppc64le', cpus: 0 }, '2G-4G:384M,4G-16G:512M,16G-64G:1G,64G-128G:2G,128G-:4G'],
    [{ arch: 'ppc64le', cpus: 64 }, '2G-4G:448M,4G-16G:576M,16G-64G:1088M,64G-128G:2112M,128G-:4160M'],
  ])('for %j', (given, value) => expect(defaultCrashkernel(machine(given))).toBe(value));

  test('is not known for others', () => {
    expect(defaultCrashkernel(machine({ arch: 'riscv64' }))).toBeNull();
    expect(defaultCrashkernel(machine({ arch: 'toString' }))).toBeNull();
    withRoot({ 'proc/sys/kernel/arch': 'riscv64\n' }, (root) => {
      expect(errorOf(() => tableCrashkernel(root)).code).toBe('unsupported-arch');
    });
  });

  test('depends on what the machine has', () => {
    const auxv = new BigUint64Array([3n, 64n, 6n, 65536n, 0n, 0n]);
    withRoot(
      {
        'proc/sys/kernel/arch': 'aarch64\n',
        'proc/self/auxv': Buffer.from(auxv.buffer).toString('latin1'),
        'sys/class/iommu/smmu3.0x1/x': '',
        'sys/bus/pci/drivers/mlx5_core/0000:03:00.0/x': '',
        'sys/devices/system/cpu/possible': '0-3\n',
        'proc/cmdline': 'mem_encrypt=on',
      },
      (root) => {
        expect(readCrashkernelFacts(root)).toMatchObject({
          arch: 'aarch64',
          memoryEncryption: true,
          smmu: true,
          mlx5: true,
          cpus: 4,
        });
      },
    );
  });
});

describe('what a value reserves', () => {
  test.each([
    ['256M', GIB, 256 * MIB],
    ['256M@16M', GIB, 256 * MIB],
    ['1G,high', GIB, GIB],
    ['0', GIB, 0],
    ['2G-64G:256M,64G-:512M', GIB, 0],
    ['2G-64G:256M,64G-:512M', 2 * GIB, 256 * MIB],
    ['2G-64G:256M,64G-:512M', 64 * GIB, 512 * MIB],
    ['0M-2G:128M,2G-6G:256M,6G-8G:512M,8G-:768M', GIB, 128 * MIB],
    ['auto', GIB, null],
    ['2G:256M', GIB, null],
    ['2G-x:256M', GIB, null],
  ])('%s of %d bytes: %s', (value, ram, bytes) => expect(reservedBy(value, ram)).toBe(bytes));

  test('of the table never shrinks when memory grows', () => {
    const tables = ['x86_64', 'aarch64', 'ppc64le'].map((arch) => defaultCrashkernel(machine({ arch }))!);
    const ram = fc.integer({ min: 0, max: 4096 });
    fc.assert(
      fc.property(fc.constantFrom(...tables), ram, ram, (value, a, b) => {
        const [less, more] = [Math.min(a, b) * GIB, Math.max(a, b) * GIB];
        expect(reservedBy(value, less)!).toBeLessThanOrEqual(reservedBy(value, more)!);
      }),
    );
  });

  test('is told by the size of the machine', () => {
    expect(readMemorySize(fixtureRoot('vm-512m'))).toBe(512 * MIB);
    expect(readMemorySize('/nowhere')).toBeNull();
  });
});
