import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Plan, planJumpBack, planUnload } from '../../src/kexec/plan.ts';
import { planToJson } from '../../src/kexec/plan-json.ts';
import { plainPlacing } from '../../src/kexec/request.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import {
  errorOf,
  fixtureRoot,
  initrdFile,
  kernelFile,
  machineOf,
  planWith,
  vmlinuxFile,
} from './fixtures.ts';

const golden = (machine: string, name: string) => `${fixtureRoot(machine)}/${name}.golden`;
const json = (plan: Plan) => `${JSON.stringify(planToJson(plan), null, 2)}\n`;

describe('plans, whole', () => {
  test('a crash kernel on a small machine', async () => {
    const plan = planWith({ reuseCommandLine: true });
    await expect(json(plan)).toMatchFileSnapshot(golden('vm-512m', 'load-panic'));
  });
  test('a crash kernel above 4 GiB', async () => {
    const plan = planWith({ reuseCommandLine: true }, { machine: machineOf('server-24g-high') });
    await expect(json(plan)).toMatchFileSnapshot(golden('server-24g-high', 'load-panic'));
  });
  test('a normal load on a machine without crashkernel=', async () => {
    const plan = planWith({ type: 'normal' }, { machine: machineOf('server-24g') });
    await expect(json(plan)).toMatchFileSnapshot(golden('server-24g', 'load'));
  });
  test('unloading', async () => {
    const plan = planUnload('crash', machineOf('vm-512m'));
    await expect(json(plan)).toMatchFileSnapshot(golden('vm-512m', 'unload-panic'));
    expect(planUnload('normal', machineOf('vm-512m')).first.flags).toEqual(['KEXEC_FILE_UNLOAD']);
  });
  test('a way back', async () => {
    const plan = planJumpBack(0x1234000, machineOf('server-24g'));
    await expect(json(plan)).toMatchFileSnapshot(golden('server-24g', 'jump-back'));
  });
  test('are plain JSON', () => {
    const plan = planToJson(planWith());
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });
});

describe('flags', () => {
  test.each([
    ['crash', true, 2],
    ['crash', false, 6],
    ['normal', true, 0],
    ['normal', false, 4],
  ] as const)('%s, initrd %s: %d', (type, withInitrd, bits) => {
    const initrd = withInitrd ? initrdFile(1) : null;
    expect(planWith({ type }, { initrd }).first.flagBits).toBe(bits);
  });
});

describe('memory', () => {
  const machine = machineOf('vm-512m');
  test('is what the 6.12 kernel takes for its segments on this machine', () => {
    // From its own log with KEXEC_FILE_DEBUG: memsz 0xe1000, 0x5000, 0x2000, 0x37dc000, 0x112000.
    const kernel = kernelFile({ init_size: 0x37dc000 });
    const initrd = initrdFile(1118989);
    expect(planWith({}, { kernel, initrd }).memory.needed).toEqual({
      elfcorehdr: 0xe1000,
      purgatory: 0x5000,
      boot_params: 0x2000,
      kernel: 0x37dc000,
      initrd: 0x112000,
      total: 0xe1000 + 0x5000 + 0x2000 + 0x37dc000 + 0x112000,
    });
  });
  test('counts program headers where the kernel does not say how much it sets aside', () => {
    const without = { ...machine, crash: { ...machine.crash, elfcorehdrSize: null } };
    expect(planWith({}, { machine: without }).memory.needed?.elfcorehdr).toBe(4096);
    const large = { ...without, possibleCpus: 512 };
    // 64 + 56 * (512 CPUs + vmcoreinfo + kernel text + 2 ranges of RAM), in pages
    expect(planWith({}, { machine: large }).memory.needed?.elfcorehdr).toBe(32768);
  });
  test('refused: an initrd that does not fit the reserved memory, to the page', () => {
    const rich = { ...machine, memTotal: null };
    const room = planWith({}, { machine: rich, initrd: initrdFile(4096) }).memory.left!;
    const size = 4096 + Math.floor(room / 4096) * 4096;
    expect(planWith({}, { machine: rich, initrd: initrdFile(size) }).memory.left).toBe(room % 4096);
    const error = errorOf(() => planWith({}, { machine: rich, initrd: initrdFile(size + 1) }));
    expect(error.code).toBe('crashkernel-too-small');
    expect(error.message).toMatch(/needs at least 192\.1 MiB .* has reserved 192 MiB/);
    expect(error.exitCode).toBe(255);
  });
  test('refused: a kernel that does not fit the reserved memory', () => {
    const error = errorOf(() => planWith({}, { kernel: kernelFile({ init_size: 200 << 20 }) }));
    expect(error.code).toBe('crashkernel-too-small');
  });
  test('refused: more than half of the memory that the kernel manages', () => {
    const error = errorOf(() => planWith({}, { initrd: initrdFile(100 << 20) }));
    expect(error.code).toBe('image-too-large');
    const normal = errorOf(() => planWith({ type: 'normal' }, { initrd: initrdFile(100 << 20) }));
    expect(normal.code).toBe('image-too-large');
  });
  test('never accepts what is larger than the reserved memory', () => {
    fc.assert(
      fc.property(fc.nat(400 << 20), fc.integer({ min: 14 << 20, max: 400 << 20 }), (size, init_size) => {
        const large = { ...machine, memTotal: null };
        const facts = { machine: large, kernel: kernelFile({ init_size }), initrd: initrdFile(size) };
        if (init_size + size <= 190 << 20) expect(planWith({}, facts).memory.left).toBeGreaterThanOrEqual(0);
        else if (init_size + size > 192 << 20)
          expect(errorOf(() => planWith({}, facts)).code).toBe('crashkernel-too-small');
      }),
    );
  });
});

describe('refused before anything is touched', () => {
  test('no memory reserved: not asked for', () => {
    const error = errorOf(() => planWith({}, { machine: machineOf('server-24g') }));
    expect(error.code).toBe('no-crashkernel');
    expect(error.message).toMatch(/crashkernel= is not on the kernel command line/);
    expect(error.exitCode).toBe(1);
  });
  test('no memory reserved: asked for in vain, or unknown', () => {
    const machine = machineOf('server-24g');
    const asked = { ...machine, commandLine: 'ro xcrashkernel=1M crashkernel=512M quiet' };
    const error = errorOf(() => planWith({}, { machine: asked }));
    expect(error.message).toMatch(/although the kernel command line has crashkernel=512M/);
    const unknown = errorOf(() => planWith({}, { machine: { ...machine, commandLine: null } }));
    expect(unknown.message).toBe('Memory for crashkernel is not reserved');
  });
  test('a command line that is longer than the kernel takes, to the byte', () => {
    // cmdline_size 2047, less 30 for elfcorehdr=, less the NUL that the kernel counts.
    expect(planWith({ append: 'x'.repeat(2016) }).commandLineBytes).toBe(2016);
    const error = errorOf(() => planWith({ append: 'x'.repeat(2017) }));
    expect(error.code).toBe('command-line-too-long');
    expect(error.message).toMatch(/has 2017 bytes; .* takes 2016/);
    expect(errorOf(() => planWith({ append: 'é'.repeat(1009) })).message).toMatch(/has 2018 bytes/);
    expect(planWith({ append: '' }, { kernel: kernelFile({ cmdline_size: 31 }) }).commandLineLimit).toBe(0);
  });
  test('another architecture', () => {
    const machine = { ...machineOf('vm-512m'), arch: 'aarch64' };
    expect(errorOf(() => planWith({}, { machine })).code).toBe('unsupported-arch');
  });
  test('5-level page tables and a kernel that cannot be entered with them', () => {
    const machine = { ...machineOf('vm-512m'), fiveLevelPaging: true };
    expect(errorOf(() => planWith({}, { machine, kernel: kernelFile({ xloadflags: 3 }) })).code).toBe(
      'five-level-paging',
    );
    expect(planWith({}, { machine }).action).toBe('load');
  });
  test('--reuse-cmdline without a command line', () => {
    const machine = { ...machineOf('vm-512m'), commandLine: null };
    expect(errorOf(() => planWith({ reuseCommandLine: true }, { machine })).code).toBe('no-command-line');
  });
});

describe('command line', () => {
  const machine = machineOf('server-24g-high');
  test('as given, to the letter', () => {
    expect(planWith({ append: ' a  "b c" ' }).commandLine).toBe(' a  "b c" ');
    expect(planWith({ append: null }).commandLine).toBe('');
  });
  test('reused, without what is not for the next kernel, and appended before the arguments of init', () => {
    expect(planWith({ reuseCommandLine: true }, { machine }).commandLine).toBe(
      'root=UUID=0f ro quiet nr_cpus=1 panic=-1 -- single',
    );
    expect(planWith({ type: 'normal', reuseCommandLine: true, append: null }, { machine }).commandLine).toBe(
      'root=UUID=0f ro crashkernel=256M,high crashkernel=272M,low quiet -- single',
    );
  });
});

describe('warnings and blockers', () => {
  const machine = machineOf('vm-512m');
  const locked = { ...machine, permission: { ...machine.permission, lockdown: 'integrity' } };
  test('an unsigned kernel on a machine that is locked down', () => {
    expect(planWith({}, { machine: locked }).warnings).toHaveLength(1);
    expect(planWith({}, { machine: locked, kernel: kernelFile({}, { signed: true }) }).warnings).toEqual([]);
    expect(planWith().warnings).toEqual([]);
  });
  test('a lack of permission does not hide the plan', () => {
    const user = { ...machine, permission: { ...machine.permission, capSysBoot: false } };
    const plan = planWith({}, { machine: user });
    expect(plan.blockers).toMatchObject([{ error: 'no-permission' }]);
    expect(planUnload('crash', user).blockers).toMatchObject([{ error: 'no-permission' }]);
  });
});

describe('which calls, and what they are given', () => {
  test('file mode first; the fallback is placed beforehand', () => {
    const plan = planWith();
    expect(plan.first).toMatchObject({ syscall: 'kexec_file_load', commandLine: 'nr_cpus=1 panic=-1' });
    expect(plan.fallback).toMatchObject({
      syscall: 'kexec_load',
      flags: ['KEXEC_ON_CRASH', 'KEXEC_ARCH_X86_64'],
      flagBits: 0x3e0001,
      commandLine: 'nr_cpus=1 panic=-1 elfcorehdr=503808K',
      entry: 0x1f000000,
    });
    expect(plan.noFallback).toBeNull();
  });
  test('what cannot be placed is no fallback, and no reason to fail', () => {
    const place = () => {
      throw new KdumpError('no-room', 'the initrd finds no room');
    };
    expect(planWith({}, { place })).toMatchObject({ fallback: null, noFallback: 'the initrd finds no room' });
    expect(errorOf(() => planWith({ choice: 'kexec_load' }, { place })).code).toBe('no-room');
    const defect = () => {
      throw new TypeError('a defect');
    };
    expect(() => planWith({}, { place: defect })).toThrow(TypeError);
  });
  test('nothing is placed for file mode alone', () => {
    const place = () => {
      throw new TypeError('not asked for');
    };
    expect(planWith({ choice: 'kexec_file_load' }, { place }).fallback).toBeNull();
  });
  test('flags of file mode', () => {
    expect(planWith({ noCma: true, type: 'normal' }).first.flagBits).toBe(0x10);
    const dtb = planWith({ forceDtb: true, fileOptions: ['--force-dtb'] });
    expect([dtb.first.flagBits, dtb.fallback]).toEqual([0x22, null]);
  });
  test('flags of kexec_load; -d is none of them', () => {
    const bitsOf = (placing: object, type: 'crash' | 'normal' = 'crash') => {
      const wanted = { type, debug: true, choice: 'kexec_load', placing: { ...plainPlacing, ...placing } };
      return planWith(wanted as Parameters<typeof planWith>[0]).first.flagBits;
    };
    expect(bitsOf({})).toBe(0x3e0001);
    expect(bitsOf({}, 'normal')).toBe(0x3e0000);
    expect(bitsOf({ hotplug: true })).toBe(0x3e0005);
    expect(bitsOf({ hotplug: true }, 'normal')).toBe(0x3e0000);
    expect(bitsOf({ preserveContext: true }, 'normal')).toBe(0x3e0002);
  });
  test('--hotplug where the kernel does not do it', () => {
    const machine = machineOf('server-24g-high');
    const hotplug = { placing: { ...plainPlacing, hotplug: true } };
    expect(errorOf(() => planWith(hotplug, { machine })).code).toBe('no-hotplug');
  });
  test('a vmlinux is placed, and its segments say what it needs', () => {
    const plan = planWith({}, { kernel: vmlinuxFile });
    expect(plan.first.syscall).toBe('kexec_load');
    expect(plan.memory).toMatchObject({ needed: null, left: null });
    expect(plan).toMatchObject({ commandLineLimit: null, kernel: { kind: 'vmlinux', bzImage: null } });
  });
  test('kexec_load needs no more room than it takes', () => {
    const byKernel = planWith().memory.needed!;
    const byUs = planWith({ choice: 'kexec_load' }).memory.needed!;
    expect(byKernel.elfcorehdr).toBe(0xe1000);
    expect(byUs.elfcorehdr).toBe(4096);
    expect(byUs.total).toBeLessThan(byKernel.total);
  });
  test("a unified image's own command line, when none is asked for", () => {
    const uki = { commandLine: 'quiet crashkernel=1G root=/dev/a', initrd: null, dtb: null, signed: true };
    const kernel = { ...kernelFile(), wrapping: ['uki'] as const, uki };
    const lineOf = (wanted: Parameters<typeof planWith>[0]) => planWith(wanted, { kernel }).commandLine;
    expect(lineOf({ append: null })).toBe('quiet root=/dev/a');
    expect(lineOf({ append: null, type: 'normal' })).toBe('quiet crashkernel=1G root=/dev/a');
    expect(lineOf({ append: '' })).toBe('');
    expect(lineOf({ append: 'mine' })).toBe('mine');
    expect(lineOf({ append: null, reuseCommandLine: true })).toMatch(/^root=\/dev\/vda1/);
  });
});

describe('unloading', () => {
  test('falls back to kexec_load only where there is no other call', () => {
    const plan = planUnload('crash', machineOf('vm-512m'));
    expect(plan.fallback).toMatchObject({ syscall: 'kexec_load', flagBits: 0x3e0001, segments: [] });
    expect(plan.fallbackErrnos).toEqual(['ENOSYS']);
    const machine = machineOf('vm-512m');
    const locked = { ...machine, permission: { ...machine.permission, lockdown: 'integrity' } };
    expect(planUnload('crash', locked).fallback).toBeNull();
  });
});

describe('--load-jump-back-helper', () => {
  const machine = machineOf('server-24g');
  test('replaces nothing, and is not for a machine that is locked down', () => {
    const loaded = { ...machine, loaded: { ...machine.loaded, normal: true } };
    expect(errorOf(() => planJumpBack(1, loaded)).code).toBe('already-loaded');
    const locked = { ...machine, permission: { ...machine.permission, lockdown: 'integrity' } };
    expect(errorOf(() => planJumpBack(1, locked)).code).toBe('locked-down');
  });
});
