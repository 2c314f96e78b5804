// Runs in the guest of the benchmark, before the crash: gives its memory what a server's memory holds. Page cache of
// real files, a heap of small objects, anonymous memory, inodes and names by the ten thousand, data queued in pipes
// and sockets, and memory that was used and freed in pieces. It holds what it made until the machine dies.
// Usage: guest-workload.mjs FILES-DIRECTORY TMPFS-DIRECTORY READY-FILE
import { randomFillSync } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { lastErrno, libc } from '../src/system/ffi.ts';

const MiB = 2 ** 20;
const pageSize = 4096;

const PROT_READ_WRITE = 3;
const MAP_PRIVATE = 0x02;
const MAP_ANONYMOUS = 0x20;
const MAP_HUGETLB = 0x40000;
const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;
const MADV_NOHUGEPAGE = 15;
const S_IFREG = 0o100000;
const F_SETPIPE_SZ = 1031;
const O_NONBLOCK = 0o4000;
const AF_UNIX = 1;
const SOCK_STREAM_NONBLOCK = 1 | O_NONBLOCK;

const mmap = libc('uint64_t mmap(uint64_t, uint64_t, int, int, int, int64_t)');
const munmap = libc('int munmap(uint64_t, uint64_t)');
const madvise = libc('int madvise(uint64_t, uint64_t, int)');
const store = libc('uint64_t memcpy(uint64_t, const uint8_t *, uint64_t)');
const mknod = libc('int mknod(const char *, uint32_t, uint64_t)');
const pipe2 = libc('int pipe2(uint8_t *, int)');
const fcntl = libc('int fcntl(int, int, int)');
const socketpair = libc('int socketpair(int, int, int, uint8_t *)');

/** Everything here stays reachable, so that nothing is collected. */
const held: unknown[] = [];
const began = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  // Whole lines, in the order of the kernel's own, and into the log of the dump.
  appendFileSync('/dev/kmsg', `lab: workload: ${seconds} s: ${text}\n`);
}

// xorshift32: the same memory in every run, as far as the kernel places it the same.
let state = 0x2545f491;
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

function fails(result: unknown): boolean {
  return BigInt.asIntN(64, BigInt(result as number | bigint)) < 0n;
}

function map(length: number, flags = 0, advice = MADV_NOHUGEPAGE): number {
  const address = mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (fails(address)) throw new Error(`mmap of ${length} bytes: errno ${lastErrno()}`);
  if (flags === 0 && fails(madvise(Number(address), length, advice)))
    throw new Error(`madvise ${advice}: errno ${lastErrno()}`);
  return Number(address);
}

/** Pieces of the files that were read last, from which other memory is filled. */
const pieceBytes = 256 << 10;
const pieces: Buffer[] = [];

function fill(address: number, length: number): void {
  for (let at = 0; at < length; at += pieceBytes) {
    const piece = pieces[random(pieces.length)]!;
    // A word in a page that tells it from the page that it is a copy of.
    for (let page = 0; page < pieceBytes; page += pageSize) piece.writeUInt32LE(random(2 ** 31), page + 2040);
    store(address + at, piece, Math.min(pieceBytes, length - at));
  }
}

/** Frees parts of a mapping: `share` of 256 of it, in runs of up to `longest` pages. */
function freeInPieces(address: number, length: number, share: number, longest: number): number {
  let freed = 0;
  for (let at = 0; at < length; ) {
    const run = Math.min((1 + random(longest)) * pageSize, length - at);
    if (random(256) < share) {
      if (fails(madvise(address + at, run, MADV_DONTNEED))) throw new Error(`madvise: errno ${lastErrno()}`);
      freed += run;
    }
    at += run;
  }
  return freed;
}

/** Inodes and names of files that exist in memory only: the slab of a machine with many files. */
function inodes(directory: string, directories: number, filesPerDirectory: number): void {
  for (let d = 0; d < directories; d++) {
    const parent = join(directory, `spool-${d}`);
    mkdirSync(parent);
    for (let file = 0; file < filesPerDirectory; file++) {
      // Every eighth name is too long to lie inside its dentry.
      const name = file % 8 === 0 ? `message-${d}-${random(2 ** 31)}-of-the-incoming-queue` : `m${d}.${file}`;
      if (fails(mknod(`${parent}/${name}`, S_IFREG | 0o644, 0)))
        throw new Error(`mknod: errno ${lastErrno()}`);
      if (file % 16 === 0) symlinkSync(`${parent}/${name}/where/the/message/came/from`, `${parent}/l${file}`);
    }
  }
  say(`${directories * filesPerDirectory} inodes`);
}

/** Reads every file, so that all of them are in the page cache. */
function readFiles(directory: string): void {
  const buffer = Buffer.allocUnsafe(MiB);
  let bytes = 0;
  let files = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = openSync(join(entry.parentPath, entry.name), 'r');
    for (let length = buffer.length; length === buffer.length; ) {
      length = readSync(file, buffer, 0, buffer.length, null);
      bytes += length;
      if (length >= pieceBytes && (pieces.length < 256 || random(8) === 0)) {
        const index = pieces.length < 256 ? pieces.length : random(256);
        pieces[index] ??= Buffer.allocUnsafe(pieceBytes);
        buffer.copy(pieces[index]!, 0, 0, pieceBytes);
      }
    }
    closeSync(file);
    files++;
  }
  say(`${Math.round(bytes / MiB)} MiB of ${files} files read`);
}

/** Data on its way between processes: pages of the kernel's own that hold what programs wrote. */
function queues(pipes: number, sockets: number): void {
  const ends = Buffer.alloc(8);
  let bytes = 0;
  const writeAll = (fd: number): void => {
    for (;;) {
      try {
        bytes += writeSync(fd, pieces[random(pieces.length)]!, 0, 64 << 10);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
        throw error;
      }
    }
  };
  for (let i = 0; i < pipes; i++) {
    if (fails(pipe2(ends, O_NONBLOCK))) throw new Error(`pipe: errno ${lastErrno()}`);
    if (fails(fcntl(ends.readInt32LE(4), F_SETPIPE_SZ, MiB)))
      throw new Error(`pipe size: errno ${lastErrno()}`);
    writeAll(ends.readInt32LE(4));
  }
  for (let i = 0; i < sockets; i++) {
    if (fails(socketpair(AF_UNIX, SOCK_STREAM_NONBLOCK, 0, ends)))
      throw new Error(`socketpair: errno ${lastErrno()}`);
    writeAll(ends.readInt32LE(0));
  }
  say(`${Math.round(bytes / MiB)} MiB in ${pipes} pipes and ${sockets} sockets`);
}

/** Many small objects and strings, as a program's heap has them. */
function heap(objects: number): void {
  const all = new Array(objects);
  for (let i = 0; i < objects; i++) {
    all[i] = {
      id: i,
      weight: random(1000) / 7,
      name: `customer ${random(1_000_000)}`,
      tags: [random(10), `t${random(500)}`],
    };
  }
  held.push(all);
  say(`a heap of ${Math.round(process.memoryUsage().heapUsed / MiB)} MiB`);
}

function anonymousMemory(): void {
  fill(map(256 * MiB), 256 * MiB);
  fill(map(96 * MiB, 0, MADV_HUGEPAGE), 96 * MiB);
  fill(map(32 * MiB, MAP_HUGETLB), 32 * MiB);
  // Allocated and never filled.
  const zero = map(48 * MiB);
  const byte = Buffer.alloc(1);
  for (let at = 0; at < 48 * MiB; at += pageSize) store(zero + at, byte, 1);
  const anonymous = /^AnonHugePages:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  say(`432 MiB of anonymous memory, ${anonymous?.[1]} KiB of it in huge pages`);
}

/** What is encrypted or compressed already. */
function randomData(tmpfs: string): void {
  const buffer = Buffer.allocUnsafe(8 * MiB);
  const address = map(80 * MiB);
  const file = openSync(join(tmpfs, 'archive'), 'w');
  for (let at = 0; at < 80 * MiB; at += buffer.length) {
    randomFillSync(buffer);
    store(address + at, buffer, buffer.length);
    // Other bytes: a page twice would be found twice by nobody, but so it is in no real memory either.
    randomFillSync(buffer);
    writeSync(file, buffer);
  }
  say('160 MiB of random data');
}

/** Memory that was used: whole mappings that end, pieces of others, files that are forgotten. */
function freedMemory(): void {
  const scattered = map(320 * MiB);
  fill(scattered, 320 * MiB);
  const whole = map(448 * MiB);
  fill(whole, 448 * MiB);
  munmap(whole, 448 * MiB);
  // Half in runs of up to 64 pages, and a last eighth page by page: the free lists get blocks of every order.
  let freed = freeInPieces(scattered, 256 * MiB, 192, 64);
  freed += freeInPieces(scattered + 256 * MiB, 64 * MiB, 128, 1);
  say(`${448 + Math.round(freed / MiB)} MiB filled and freed`);
}

const [files, tmpfs, ready] = process.argv.slice(2) as [string, string, string];
// First, while memory is in one piece.
writeFileSync('/proc/sys/vm/nr_hugepages', '16');
inodes(tmpfs, 150, 1000);
readFiles(files);
queues(64, 192);
heap(500_000);
anonymousMemory();
randomData(tmpfs);
freedMemory();
writeFileSync(ready, 'ready\n');
setInterval(() => held.length, 60_000);
