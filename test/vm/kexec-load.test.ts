// Our kexec in a guest, without a crash: what loads, what jumps, what is refused, and what is armed after each.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setupHeader } from '../../src/formats/bzimage.ts';
import { writeStruct } from '../../src/lib/layout.ts';
import { type GuestResult, runGuest } from './lab/guest.ts';
import { guestImage, kexecProgram } from './lab/images.ts';
import { kernelNames, labKernel, peer } from './lab/lab.ts';
import { peerFiles } from './lab/peers.ts';
import { wrappedKernel, wrappings } from './lab/wrapped-kernel.ts';

/** Shell functions of the guest: `try NAME OPTION…` runs kexec and keeps how it ended and what is loaded then. */
const tryFunctions = `
kexec() { node /disk/kdump/kexec.mjs "$@"; }
mkdir -p /var/lib
ln -s /disk/state /var/lib/kdump
mkdir -p /disk/state
try() {
  name=$1
  shift
  kexec "$@" >/disk/results/$name.out 2>/disk/results/$name.err
  echo "$? $(cat /sys/kernel/kexec_crash_loaded) $(cat /sys/kernel/kexec_loaded)" >/disk/results/$name.end
  say "tried $name: $(cat /disk/results/$name.end) $(head -c 300 /disk/results/$name.err | tr '\\n' ' ')"
}
`;

type Ending = { status: number; crashLoaded: boolean; loaded: boolean; out: string; err: string };

function endingOf({ results }: GuestResult, name: string): Ending {
  const read = (kind: string) => readFileSync(join(results, `${name}.${kind}`), 'utf8');
  const [status, crashLoaded, loaded] = read('end').trim().split(' ');
  return {
    status: Number(status),
    crashLoaded: crashLoaded === '1',
    loaded: loaded === '1',
    out: read('out'),
    err: read('err'),
  };
}

async function kexecFiles(): Promise<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(await kexecProgram()).map(([name, path]) => [`kdump/${name}`, path]),
  );
}

describe.each(kernelNames)('Linux %s', (name) => {
  let guest: GuestResult;

  beforeAll(async () => {
    const kernel = await labKernel(name);
    const files = Object.fromEntries(
      await Promise.all(wrappings.map(async (w) => [`boot/${w}`, await wrappedKernel(kernel, w)] as const)),
    );
    guest = await runGuest({
      kernel,
      append: 'crashkernel=192M',
      memory: 1024,
      diskSize: 768,
      deadline: 400,
      files: {
        ...files,
        ...(await kexecFiles()),
        ...(await peerFiles(await peer('kexec'))),
        'boot/plain': kernel.vmlinuz,
        'boot/initrd': await guestImage(kernel),
      },
      script: `${tryFunctions}
options="--initrd=/disk/boot/initrd --append=console=ttyS0"
try empty -S
for image in ${wrappings.join(' ')}; do
  first=-s
  [ $image = vmlinux ] && first=-a
  try crash-$image -p $first /disk/boot/$image $options
  try normal-$image -l -c /disk/boot/$image $options
  try unload-$image -p -u
  try forget-$image -u
done
try vmlinux-by-file -p -s /disk/boot/vmlinux
try uki-alone -p /disk/boot/uki --dry-run
for type in -p -l; do
  try plan$type $type -c --dry-run /disk/boot/plain $options
  /disk/peer/ld.so --library-path /disk/peer /disk/peer/kexec $type -c -d /disk/boot/plain $options >/disk/results/theirs$type 2>&1
done
finish finished`,
    });
  });
  afterAll(() => guest?.remove());

  test.each(wrappings)('%s is loaded by the kernel or by us, and unloaded', (wrapping) => {
    for (const [step, crashLoaded, loaded] of [
      ['crash', true, false],
      ['normal', true, true],
      ['unload', false, true],
      ['forget', false, false],
    ] as const)
      expect(endingOf(guest, `${step}-${wrapping}`), step).toMatchObject({
        status: 0,
        crashLoaded,
        loaded,
        err: '',
      });
  });

  test('nothing is loaded at first', () => {
    expect(endingOf(guest, 'empty')).toMatchObject({ status: 0, crashLoaded: false, loaded: false });
  });

  test('a vmlinux is refused where the kernel is to load it', () => {
    const ending = endingOf(guest, 'vmlinux-by-file');
    expect(ending).toMatchObject({ status: 255, crashLoaded: false });
    expect(ending.err).toContain('/disk/boot/vmlinux');
  });

  test("a unified kernel image's own command line is used when none is given", () => {
    expect(JSON.parse(endingOf(guest, 'uki-alone').out)).toMatchObject({
      commandLine: expect.stringContaining('lab.from-uki'),
    });
  });

  describe.each(['-p', '-l'])('what %s places', (type) => {
    type Placed = {
      segments: { name: string; mem: string; memsz: string }[];
      e820: string[];
      commandLine: string;
    };
    const ours = (): Placed => JSON.parse(endingOf(guest, `plan${type}`).out).first;
    const theirs = () => readFileSync(join(guest.results, `theirs${type}`), 'utf8');

    test('lies where the C tool puts it', () => {
      const placed = [...theirs().matchAll(/\.mem {3}= (0x\w+)\nsegment\[\d\]\.memsz = (0x\w+)/g)].map(
        ([, mem, memsz]) => ({ mem, memsz }),
      );
      // Our purgatory is smaller, and what the next kernel is told is in one piece.
      const alike = ours().segments.filter(({ name }) => name !== 'purgatory' && name !== 'boot_params');
      expect(alike.length).toBe(type === '-p' ? 4 : 2);
      for (const { name, mem, memsz } of alike) expect(placed, name).toContainEqual({ mem, memsz });
    });

    test('is told of the same memory', () => {
      const names: Record<string, string> = { 1: 'ram', 2: 'reserved', 3: 'acpi', 4: 'nvs' };
      const table = theirs().slice(theirs().indexOf('E820 memmap'));
      const told = [...table.matchAll(/^(\w{16})-(\w{16}) \((\d+)\)$/gm)].map(
        ([, start, end, kind]) => [Number(`0x${start}`), Number(`0x${end}`), names[kind!]] as const,
      );
      // They name the first page of a crash kernel reserved, where there is nothing, and a piece of RAM that is no
      // whole page; and they begin the RAM of a normal one behind the real mode's interrupt vectors.
      const alike = told.filter(
        ([start, end, kind]) =>
          !(kind === 'ram' && end - start < 4096) && !(start === 0 && kind === 'reserved'),
      );
      const hex = (value: number) => `0x${value.toString(16)}`;
      expect(alike.length).toBeGreaterThan(5);
      expect(ours().e820).toEqual(
        alike.map(([start, end, kind]) => `${hex(start === 0x400 ? 0 : start)}-${hex(end)} ${kind}`),
      );
    });

    test('has the same command line', () => {
      if (type === '-p') expect(theirs()).toContain(`\n${ours().commandLine}\n`);
      else expect(ours().commandLine).toBe('console=ttyS0');
    });
  });
});

describe.each(kernelNames)('Linux %s jumps', (name) => {
  test('into what kexec_file_load, kexec_load and a vmlinux have loaded, one after the other', async () => {
    const kernel = await labKernel(name);
    const initrd = await guestImage(kernel);
    const next = (step: string) =>
      `--initrd=/disk/boot/initrd --append="console=ttyS0 panic=-1 lab.step=${step}"`;
    const guest = await runGuest({
      kernel,
      files: {
        ...(await kexecFiles()),
        'boot/vmlinuz': kernel.vmlinuz,
        'boot/vmlinux': await wrappedKernel(kernel, 'vmlinux'),
        'boot/initrd': initrd,
      },
      diskSize: 512,
      memory: 1024,
      script: `${tryFunctions}
step=$(sed -n 's/.*lab.step=\\([a-z-]*\\).*/\\1/p' /proc/cmdline)
say "step $step"
dmesg | grep -E 'e820: \\[mem|BIOS-e820' >/disk/results/e820-\${step:-first}
case $step in
'')
  try load -l -s /disk/boot/vmlinuz ${next('by-file')}
  sync
  kexec -e
  ;;
by-file)
  try load-c -l -c /disk/boot/vmlinuz ${next('by-segments')}
  sync
  kexec -e --now
  ;;
by-segments)
  kexec -f -c /disk/boot/vmlinux ${next('vmlinux')}
  ;;
vmlinux)
  finish finished
  ;;
esac
finish "failed: still here after $step"`,
    });
    try {
      for (const step of ['by-file', 'by-segments', 'vmlinux'])
        expect(guest.console.find(new RegExp(`lab: step ${step}$`)), step).toBeDefined();
      const map = (step: string) =>
        readFileSync(join(guest.results, `e820-${step}`), 'utf8').match(/\[mem 0x.*/g) ?? [];
      expect(map('first').length).toBeGreaterThan(3);
      // The next kernel is told of the same memory, whoever told it.
      const usable = (step: string) => map(step).filter((line) => line.endsWith('usable'));
      expect(usable('by-segments').length).toBeGreaterThan(1);
      expect(usable('vmlinux')).toEqual(usable('by-segments'));
    } finally {
      guest.remove();
    }
  });
});

describe('refusals', () => {
  /** A kernel that every check of its header passes, and that the running kernel finds no place for. */
  function misaligned(vmlinuz: string): Uint8Array {
    const bytes = new Uint8Array(readFileSync(vmlinuz));
    writeStruct(setupHeader, bytes, 0, { kernel_alignment: 2 ** 29 });
    return bytes;
  }
  const garbage = Buffer.alloc(65536, 'no kernel at all ');

  test('leave armed what was armed, or say that nothing is', async () => {
    const kernel = await labKernel('6.12');
    const guest = await runGuest({
      kernel,
      append: 'crashkernel=192M',
      memory: 1024,
      diskSize: 1024,
      deadline: 400,
      files: {
        ...(await kexecFiles()),
        'boot/vmlinuz': kernel.vmlinuz,
        'boot/initrd': await guestImage(kernel),
        'boot/garbage': { bytes: garbage },
        'boot/truncated': { bytes: new Uint8Array(readFileSync(kernel.vmlinuz)).subarray(0, 2 ** 20) },
        'boot/misaligned': { bytes: misaligned(kernel.vmlinuz) },
        'boot/huge-initrd': { bytes: new Uint8Array(250 * 2 ** 20) },
      },
      script: `${tryFunctions}
good="/disk/boot/vmlinuz --initrd=/disk/boot/initrd --append=console=ttyS0"
try nothing-armed -p /disk/boot/garbage
try unarmed -p -s /disk/boot/misaligned --append=console=ttyS0
try good -p $good
try garbage -p /disk/boot/garbage
try garbage-c -p -c /disk/boot/garbage
try truncated -p /disk/boot/truncated
try huge -p /disk/boot/vmlinuz --initrd=/disk/boot/huge-initrd
try huge-c -p -c /disk/boot/vmlinuz --initrd=/disk/boot/huge-initrd
try missing -p /disk/boot/not-there
try misaligned -p -s /disk/boot/misaligned --append=console=ttyS0
try status-after -S
try misaligned-json -p -s --json /disk/boot/misaligned --append=console=ttyS0
rm -rf /disk/state/*
try lost -p -s /disk/boot/misaligned --append=console=ttyS0
try again -p -c $good
try misaligned-c -p -s /disk/boot/misaligned --append=console=ttyS0
echo 2 >/proc/sys/kernel/kexec_load_limit_panic
try limited-1 -p -s $good
try limited-2 -p -s $good
try limited-3 -p -s $good
echo 1 >/proc/sys/kernel/kexec_load_disabled
try disabled -p $good
try disabled-unload -p -u
try disabled-c -p -c $good
finish finished`,
    });
    try {
      const expectEnding = (name: string, crashLoaded: boolean, words: RegExp) => {
        const ending = endingOf(guest, name);
        expect({ name, ...ending }, ending.err).toMatchObject({ name, crashLoaded });
        expect(ending.status, name).not.toBe(0);
        expect(ending.err).toMatch(words);
      };
      expectEnding('nothing-armed', false, /garbage/);
      expectEnding('unarmed', false, /NOT armed/);
      expect(endingOf(guest, 'good')).toMatchObject({ status: 0, crashLoaded: true });
      for (const name of ['garbage', 'garbage-c']) expectEnding(name, true, /garbage/);
      expectEnding('truncated', true, /truncated/);
      for (const name of ['huge', 'huge-c']) expectEnding(name, true, /initrd/);
      expectEnding('missing', true, /not-there.*no such file/);
      // The kernel drops what was armed before it finds out; we arm it again.
      expectEnding('misaligned', true, /EADDRNOTAVAIL|armed/);
      expect(endingOf(guest, 'status-after').status).toBe(1);
      expect(JSON.parse(endingOf(guest, 'misaligned-json').err)).toMatchObject({
        facts: { loadedBefore: true, loadedAfter: true },
      });
      expectEnding('lost', false, /NOT armed/);
      expect(endingOf(guest, 'again')).toMatchObject({ status: 0, crashLoaded: true });
      expectEnding('misaligned-c', true, /armed/);
      expect(endingOf(guest, 'limited-1')).toMatchObject({ status: 0, crashLoaded: true });
      expectEnding('limited-3', true, /kexec_load_limit_panic/);
      for (const name of ['disabled', 'disabled-unload', 'disabled-c'])
        expectEnding(name, true, /kexec_load_disabled/);
    } finally {
      guest.remove();
    }
  });

  test('under lockdown are explained, and nothing is tried that lockdown forbids', async () => {
    const kernel = await labKernel('6.1');
    const guest = await runGuest({
      kernel,
      append: 'crashkernel=192M lockdown=integrity',
      memory: 1024,
      diskSize: 512,
      files: {
        ...(await kexecFiles()),
        'boot/vmlinuz': kernel.vmlinuz,
        'boot/unsigned': await wrappedKernel(kernel, 'uki'),
        'boot/initrd': await guestImage(kernel),
      },
      script: `${tryFunctions}
cat /sys/kernel/security/lockdown >/disk/results/lockdown
[ -s /disk/results/lockdown ] || { mount -t securityfs none /sys/kernel/security; cat /sys/kernel/security/lockdown >/disk/results/lockdown; }
try by-segments -p -c /disk/boot/vmlinuz --initrd=/disk/boot/initrd
try unsigned -p /disk/boot/unsigned --initrd=/disk/boot/initrd
try signed -p -s /disk/boot/vmlinuz --initrd=/disk/boot/initrd
try unload -p -u
finish finished`,
    });
    try {
      expect(readFileSync(join(guest.results, 'lockdown'), 'utf8')).toContain('[integrity]');
      for (const name of ['by-segments', 'unsigned']) {
        const ending = endingOf(guest, name);
        expect(ending.status, name).not.toBe(0);
        expect(ending.err, name).toMatch(/locked down|lockdown/);
      }
      // The certificate comes from the firmware, by way of shim; without them even Debian's own kernel is a stranger.
      const signed = endingOf(guest, 'signed');
      expect(signed).toMatchObject({ status: 255, crashLoaded: false });
      expect(signed.err).toMatch(/the signature of \/disk\/boot\/vmlinuz was not accepted.*NOT armed/);
      expect(endingOf(guest, 'unload')).toMatchObject({ status: 0, crashLoaded: false, err: '' });
    } finally {
      guest.remove();
    }
  });

  test('name too small a crashkernel=', async () => {
    const kernel = await labKernel('6.1');
    const guest = await runGuest({
      kernel,
      append: 'crashkernel=48M',
      memory: 512,
      files: {
        ...(await kexecFiles()),
        'boot/vmlinuz': kernel.vmlinuz,
        'boot/initrd': await guestImage(kernel),
      },
      script: `${tryFunctions}
for way in -s -c -a; do
  try small$way -p $way /disk/boot/vmlinuz --initrd=/disk/boot/initrd
done
finish finished`,
    });
    try {
      for (const way of ['-s', '-c', '-a']) {
        const ending = endingOf(guest, `small${way}`);
        expect(ending).toMatchObject({ crashLoaded: false });
        expect(ending.status).not.toBe(0);
        expect(ending.err).toMatch(/crashkernel=/);
      }
    } finally {
      guest.remove();
    }
  });
});
