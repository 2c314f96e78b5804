import { koffi, libc } from '../../src/system/ffi.ts';

const PROT_READ_WRITE_EXEC = 7;
const MAP_PRIVATE_ANONYMOUS = 0x22;

export type Executable = {
  /** The mapped bytes, to be looked at and changed; not after `close`. */
  readonly bytes: Buffer;
  /** Calls the function at an offset, with up to three arguments in rdi, rsi and rdx; its eax. */
  call(offset: number, ...args: (number | bigint | Uint8Array)[]): number;
  close(): void;
};

/** Machine code in memory that may be executed; for functions that keep to the System V calling convention. */
export function executable(code: Uint8Array): Executable {
  const length = Math.ceil(code.length / 4096) * 4096;
  const map = libc(
    'intptr_t mmap(uintptr_t addr, size_t length, int prot, int flags, int fd, int64_t offset)',
  );
  const address = Number(map(0, length, PROT_READ_WRITE_EXEC, MAP_PRIVATE_ANONYMOUS, -1, 0));
  if (address === -1) throw new Error(`no executable memory of ${length} bytes`);
  const bytes = Buffer.from(koffi().view(BigInt(address), length));
  bytes.set(code);
  return {
    bytes,
    call: (offset, ...args) => {
      const types = args.map((arg) => (arg instanceof Uint8Array ? 'uint8_t *' : 'uint64_t'));
      const type = koffi().proto('uint32_t', types);
      return koffi().call(BigInt(address + offset), type, ...args) as number;
    },
    close: () => libc('int munmap(uintptr_t addr, size_t length)')(address, length),
  };
}
