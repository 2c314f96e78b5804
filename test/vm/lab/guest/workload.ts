// Runs in the guest before the crash: fills memory so that every kind of page that a dump level decides about is in
// the vmcore, with contents that compress well, badly and not at all. It holds what it made until the machine dies.
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import { lastErrno, libc } from '../../../../src/system/ffi.ts';

const MiB = 2 ** 20;
const pageSize = 4096;

const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_ANONYMOUS = 0x20;
const MAP_HUGETLB = 0x40000;
const MADV_HUGEPAGE = 14;
const MADV_NOHUGEPAGE = 15;
const MADV_PAGEOUT = 21;

const mmap = libc('uint64_t mmap(uint64_t, uint64_t, int, int, int, int64_t)');
const munmap = libc('int munmap(uint64_t, uint64_t)');
const madvise = libc('int madvise(uint64_t, uint64_t, int)');
const memset = libc('uint64_t memset(uint64_t, int, uint64_t)');
const store = libc('uint64_t memcpy(uint64_t, const uint8_t *, uint64_t)');
const load = libc('uint64_t memcpy(uint8_t *, uint64_t, uint64_t)');

/** Everything here stays reachable, so that nothing is collected. */
const held: unknown[] = [];

function say(text: string): void {
  // As boot.sh does: whole lines, in the order of the kernel's own.
  appendFileSync('/dev/kmsg', `lab: workload: ${text}\n`);
}

function map(length: number, flags: number, fd = -1, prot = PROT_READ_WRITE): number {
  const address = mmap(0, length, prot, flags, fd, 0) as number | bigint;
  if (BigInt.asIntN(64, BigInt(address)) < 0n) {
    throw new Error(`mmap of ${length} bytes, flags 0x${flags.toString(16)}: errno ${lastErrno()}`);
  }
  return Number(address);
}

function anonymous(length: number, advice: number): number {
  const address = map(length, MAP_PRIVATE | MAP_ANONYMOUS);
  if ((madvise(address, length, advice) as number) !== 0)
    throw new Error(`madvise ${advice}: errno ${lastErrno()}`);
  return address;
}

/** Pages of random bytes, of text, and with one word in the middle, in turn. */
function fill(address: number, length: number): void {
  const random = randomBytes(pageSize);
  const text = Buffer.alloc(pageSize, 'A page of the crash lab. ');
  const sparse = Buffer.alloc(pageSize);
  for (let offset = 0; offset < length; offset += pageSize) {
    const page = [random, text, sparse][(offset / pageSize) % 3]!;
    // The offset makes pages differ, so that an exchanged page is noticed.
    page.writeUInt32LE(offset, 2048);
    store(address + offset, page, pageSize);
  }
}

function touch(address: number, length: number): void {
  const byte = Buffer.alloc(1);
  for (let offset = 0; offset < length; offset += pageSize) load(byte, address + offset, 1);
}

/** Physical page of an address of this process. */
function pfnOf(address: number): number {
  const entry = Buffer.alloc(8);
  const pagemap = openSync('/proc/self/pagemap', 'r');
  readSync(pagemap, entry, 0, 8, (address / pageSize) * 8);
  closeSync(pagemap);
  const value = entry.readBigUInt64LE();
  if ((value & (1n << 63n)) === 0n) throw new Error('page is not present');
  return Number(value & ((1n << 55n) - 1n));
}

function pageCache(): void {
  const data = readFileSync('/disk/lab/data');
  writeFileSync('/disk/lab/written', data.subarray(0, 6 * MiB));
  const written = openSync('/disk/lab/written', 'r+');
  fsyncSync(written);
  held.push(written);

  const clean = openSync('/disk/lab/data', 'r');
  touch(map(4 * MiB, MAP_SHARED, clean, PROT_READ), 4 * MiB);
  fill(map(2 * MiB, MAP_SHARED, written), 2 * MiB);
  say(`page cache of files: ${data.length / MiB} MiB read, 6 MiB written, 6 MiB mapped`);
}

function metadata(): void {
  // Directories, inodes and bitmaps live in the block device's page cache, with buffer heads (PG_private).
  for (let directory = 0; directory < 20; directory++) {
    mkdirSync(`/disk/lab/tree/${directory}`, { recursive: true });
    for (let file = 0; file < 20; file++) writeFileSync(`/disk/lab/tree/${directory}/${file}`, `${file}\n`);
  }
  for (const directory of readdirSync('/disk/lab/tree')) readdirSync(`/disk/lab/tree/${directory}`);
  say('ext4 metadata of 400 files');
}

function tmpfs(): void {
  writeFileSync('/lab/tmpfs/random', randomBytes(3 * MiB));
  writeFileSync('/lab/tmpfs/zero', Buffer.alloc(2 * MiB));
  say('tmpfs: 3 MiB random, 2 MiB zero');
}

function anonymousMemory(): void {
  fill(anonymous(8 * MiB, MADV_NOHUGEPAGE), 8 * MiB);
  memset(anonymous(4 * MiB, MADV_NOHUGEPAGE), 0, 4 * MiB);
  const buffer = Buffer.alloc(4 * MiB, 'text of a buffer ');
  held.push(buffer, Buffer.alloc(4 * MiB).fill(0));
  say('anonymous memory: 12 MiB filled, 8 MiB zeroed');
}

function hugePages(): void {
  fill(anonymous(8 * MiB, MADV_HUGEPAGE), 8 * MiB);
  const rollup = /^AnonHugePages:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'));
  if (Number(rollup?.[1] ?? 0) === 0) throw new Error('no transparent huge page');
  fill(map(4 * MiB, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB), 4 * MiB);
  const file = openSync('/lab/huge/file', 'w+');
  fill(map(2 * MiB, MAP_SHARED, file), 2 * MiB);
  held.push(file);
  say(`huge pages: ${rollup![1]} KiB transparent, 6 MiB hugetlb`);
}

function swap(): void {
  const length = 4 * MiB;
  const address = anonymous(length, MADV_NOHUGEPAGE);
  fill(address, length);
  if ((madvise(address, length, MADV_PAGEOUT) as number) !== 0)
    throw new Error(`MADV_PAGEOUT: errno ${lastErrno()}`);
  // Pages that are only read come back into the swap cache and stay in it.
  touch(address, length / 2);
  const cached = /^SwapCached:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  say(`swap: 4 MiB out, 2 MiB back, ${cached?.[1]} KiB in the swap cache`);
}

function freedMemory(): void {
  const length = 16 * MiB;
  const address = anonymous(length, MADV_NOHUGEPAGE);
  fill(address, length);
  munmap(address, length);
  say('16 MiB filled and freed');
}

function poison(): void {
  const offline = '/sys/devices/system/memory/hard_offline_page';
  if (!existsSync(offline)) {
    say('no hardware poison: this kernel cannot take pages offline');
    return;
  }
  // By sysfs and not by MADV_HWPOISON, which kills its caller.
  const anonymousPage = anonymous(16 * pageSize, MADV_NOHUGEPAGE);
  fill(anonymousPage, 16 * pageSize);
  const file = openSync('/disk/lab/data', 'r');
  const filePage = map(16 * pageSize, MAP_SHARED, file, PROT_READ);
  touch(filePage, 16 * pageSize);
  for (const address of [anonymousPage + 5 * pageSize, filePage + 3 * pageSize]) {
    appendFileSync(offline, `0x${(pfnOf(address) * pageSize).toString(16)}`);
  }
  const poisoned = /^HardwareCorrupted:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  say(`hardware poison: ${poisoned?.[1]} KiB`);
}

// First, while memory is in one piece.
hugePages();
metadata();
pageCache();
tmpfs();
anonymousMemory();
swap();
freedMemory();
poison();
writeFileSync(process.argv[2]!, 'ready\n');
setInterval(() => held.length, 60_000);
