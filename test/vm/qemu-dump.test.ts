// What QEMU dumps of a running guest: an ELF core, and a kdump-compressed dump as a flattened stream, both without a
// VMCOREINFO note, since the guest has no driver that hands it over.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openKdump, popcount, setBits } from '../helpers/kdump-reader.ts';
import { makeDisk } from './lab/disk.ts';
import { guestImage } from './lab/images.ts';
import { labKernel } from './lab/lab.ts';
import { startMachine } from './lab/qemu.ts';

const program = fileURLToPath(new URL('../../bin/makedumpfile', import.meta.url));
let directory: string;
const at = (name: string): string => join(directory, name);
const byUs = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-qemu-dump-'));
  const kernel = await labKernel('6.1');
  await makeDisk(at('disk.img'), 64, { 'lab/boot.sh': { text: 'say "up"\nsleep 300\npoweroff -f\n' } });
  const machine = await startMachine({
    kernel: kernel.vmlinuz,
    initrd: await guestImage(kernel),
    append: 'console=ttyS0 panic=-1',
    memory: 192,
    disks: [at('disk.img')],
    deadline: 180,
  });
  try {
    await machine.console.waitFor(/\blab: up/, 120);
    // Stopped, so that both dumps are of the same memory.
    await machine.qmp.execute('stop');
    const dump = (name: string, more: object): Promise<unknown> =>
      machine.qmp.execute('dump-guest-memory', { paging: false, protocol: `file:${at(name)}`, ...more });
    await dump('elf', {});
    await dump('stream', { format: 'kdump-zlib' });
  } finally {
    await machine.stop();
  }
}, 200_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('the ELF core is read, whose program headers the C tool does not find', () => {
  const ours = byUs('-l', '-d', '1', at('elf'), at('ours'));
  expect(ours.status, ours.stderr).toBe(0);
  const dump = openKdump(at('ours'));
  expect(popcount(dump.bitmap2)).toBeGreaterThan(40_000);
  dump.close();
  // Without a description of the kernel, page types are unknown.
  expect(byUs('-l', '-d', '31', at('elf'), at('refused'))).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('no VMCOREINFO note'),
  });
});

test('the stream, which QEMU wrote by itself, holds the same pages and is read as it is', () => {
  const verified = byUs('--verify', '--json', at('stream'));
  expect(JSON.parse(verified.stdout)).toMatchObject({ format: 'kdump', flattened: true });
  const ours = byUs('-l', '-d', '1', at('stream'), at('from-stream'));
  expect(ours.status, ours.stderr).toBe(0);
  const [a, b] = [openKdump(at('ours')), openKdump(at('from-stream'))];
  const pages = (dump: typeof a): Map<number, number> =>
    new Map(setBits(dump.bitmap2).map((pfn, index) => [pfn, index]));
  const [inElf, inStream] = [pages(a), pages(b)];
  // QEMU leaves nothing out that it maps, and may describe less of its own ROMs in one of the two.
  let compared = 0;
  for (const [pfn, index] of inStream) {
    const other = inElf.get(pfn);
    if (other === undefined) continue;
    expect(b.page(index).equals(a.page(other)), `page frame ${pfn}`).toBe(true);
    compared++;
  }
  expect(compared).toBeGreaterThan(40_000);
  a.close();
  b.close();
});
