// Runs in the guest: copies what readMachine and readLayout read of /proc and /sys into a directory, of /proc/kcore the
// headers only.
import { mkdirSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { elfHeaderLayout } from '../../../../src/formats/elf.ts';
import { elfHeadersSize } from '../../../../src/formats/elf-encode.ts';
import { readStruct } from '../../../../src/lib/layout.ts';

/** Paths below the root; `*` stands for any name of one directory. */
const copied = [
  ...['cmdline', 'cpuinfo', 'iomem', 'meminfo', 'self/status'].map((file) => `proc/${file}`),
  ...['arch', 'osrelease', 'kexec_load_*', 'random/boot_id'].map((file) => `proc/sys/kernel/${file}`),
  ...['kexec_*', 'kexec/*', 'crash_elfcorehdr_size', 'vmcoreinfo'].map((file) => `sys/kernel/${file}`),
  'sys/kernel/boot_params/data',
  'sys/kernel/security/lockdown',
  'sys/devices/system/cpu/possible',
  'sys/devices/system/cpu/cpu*/crash_notes*',
  'sys/firmware/memmap/*/*',
  ...['systab', 'fw_vendor', 'runtime', 'config_table', 'runtime-map/*/*'].map(
    (file) => `sys/firmware/efi/${file}`,
  ),
];
/** What tests hold against our answers. */
const symbols = / (_text|_stext|_end)$/;

const into = process.argv[2]!;

function save(path: string, bytes: Uint8Array | string): void {
  const target = join(into, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, bytes);
}

function expand(pattern: string): string[] {
  return pattern.split('/').reduce(
    (directories, part) =>
      directories.flatMap((directory) => {
        if (!part.includes('*')) return [join(directory, part)];
        const name = new RegExp(`^${part.replaceAll('*', '.*')}$`);
        return entriesOf(join('/', directory))
          .filter((entry) => name.test(entry))
          .map((entry) => join(directory, entry));
      }),
    [''],
  );
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

for (const path of copied.flatMap(expand)) {
  try {
    save(path, readFileSync(join('/', path)));
  } catch {
    // This kernel does not have it.
  }
}

const kcore = openSync('/proc/kcore', 'r');
const read = (offset: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, readSync(kcore, bytes, 0, length, offset));
};
const { phnum } = readStruct(elfHeaderLayout, read(0, elfHeaderLayout.size));
save('proc/kcore', read(0, elfHeadersSize(phnum)));

const found = readFileSync('/proc/kallsyms', 'latin1')
  .split('\n')
  .filter((line) => symbols.test(line));
save('proc/kallsyms', `${found.join('\n')}\n`);
