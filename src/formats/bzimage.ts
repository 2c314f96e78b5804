import { KdumpError } from '../lib/errors.ts';
import { layout, readStruct } from '../lib/layout.ts';
import { isPeSigned } from './pe.ts';

/**
 * The x86 boot protocol's kernel file: a real-mode part, then the compressed kernel; its header says what the kernel
 * needs. Source: Documentation/arch/x86/boot.rst; little-endian; offsets are those of the file and of boot_params.
 */
export const setupHeader = layout('setup_header', 0x268, {
  /** Size of the real-mode part in 512-byte sectors, without the boot sector; 0 stands for 4. */
  setup_sects: [0x1f1, 'u8'],
  /** Size of the protected-mode part in 16-byte units. */
  syssize: [0x1f4, 'u32'],
  boot_flag: [0x1fe, 'u16'],
  header: [0x202, 'u32'],
  /** Protocol version, e.g. 0x020f for 2.15. */
  version: [0x206, 'u16'],
  /** Offset of the version text, less 0x200; 0 when there is none. */
  kernel_version: [0x20e, 'u16'],
  loadflags: [0x211, 'u8'],
  kernel_alignment: [0x230, 'u32'],
  relocatable_kernel: [0x234, 'u8'],
  xloadflags: [0x236, 'u16'],
  /** Longest command line in bytes, without the terminating NUL. */
  cmdline_size: [0x238, 'u32'],
  /** Where the kernel would like to run; it is not loaded below. */
  pref_address: [0x258, 'a64'],
  /** Memory from the load address on that the kernel uses before it knows the memory map. */
  init_size: [0x260, 'u32'],
});

/** How much of the file's beginning `probeBzImage` wants: kernel_version may point 0x200 + 0xffff bytes in. */
export const bzImageHeadBytes = 0x200 + 0x10000 + 0x200;

const HDRS = 0x53726448; // "HdrS"
const BOOT_FLAG = 0xaa55;
const LOADED_HIGH = 1;
const XLF_KERNEL_64 = 1;
const XLF_CAN_BE_LOADED_ABOVE_4G = 2;
const XLF_5LEVEL = 1 << 5;
/** 2.12 brought xloadflags, and with them the 64-bit entry point that kexec jumps to. */
const OLDEST_PROTOCOL = 0x020c;
const PAGE = 4096;

export type BzImage = {
  /** Boot protocol, e.g. "2.15". */
  readonly protocol: string;
  /** "6.1.0-56-cloud-amd64 (…) #1 SMP …", or null when the file carries none. */
  readonly kernel_version: string | null;
  /** Bytes of the real-mode part; the kernel proper begins here. */
  readonly setup_size: number;
  readonly init_size: number;
  readonly kernel_alignment: number;
  readonly pref_address: number;
  readonly cmdline_size: number;
  readonly relocatable: boolean;
  /** Can be entered while 5-level page tables are in use. */
  readonly five_level: boolean;
  /** Carries a PE (Authenticode) signature of its own; whether it is valid is the kernel's to say. */
  readonly signed: boolean;
};

/** Whether a file that begins with these bytes has the header of the boot protocol. */
export function hasBootHeader(head: Uint8Array): boolean {
  const at = setupHeader.fields.header[0];
  return head.length >= at + 4 && new DataView(head.buffer, head.byteOffset).getUint32(at, true) === HDRS;
}

/**
 * Reads what a 64-bit bzImage says about itself, and refuses what the kernel's own loader would refuse
 * (bzImage64_probe in arch/x86/kernel/kexec-bzimage64.c), and a truncated file, which it would load.
 * @param head the first `bzImageHeadBytes` bytes of the file, or all of it.
 * @param size size of the whole file in bytes.
 * @param name names the file in errors.
 * @throws KdumpError `not-a-kernel`, `kernel-unsupported` or `kernel-truncated`.
 */
export function probeBzImage(head: Uint8Array, size: number, name: string): BzImage {
  if (head.length < 1024)
    throw notAKernel(name, head, `the file has ${size} bytes, a bzImage at least 1024`, { size });
  const h = readStruct(setupHeader, head, 0, name);
  if (h.header !== HDRS)
    throw notAKernel(name, head, `expected "HdrS" at offset 0x202, found ${show(head, 0x202)}`);
  if (h.boot_flag !== BOOT_FLAG)
    throw notAKernel(name, head, `expected boot flag 0xaa55 at offset 0x1fe, found ${hex(h.boot_flag)}`);
  if (h.version < OLDEST_PROTOCOL)
    throw unsupported(
      name,
      `boot protocol ${protocolOf(h.version)} at offset 0x206, at least ${protocolOf(OLDEST_PROTOCOL)} is needed`,
    );
  if ((h.loadflags & LOADED_HIGH) === 0)
    throw unsupported(
      name,
      `a zImage: LOADED_HIGH is not set in loadflags ${hex(h.loadflags)} at offset 0x211`,
    );
  if ((h.xloadflags & XLF_KERNEL_64) === 0)
    throw unsupported(
      name,
      `a 32-bit kernel: XLF_KERNEL_64 is not set in xloadflags ${hex(h.xloadflags)} at offset 0x236`,
    );
  if ((h.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G) === 0)
    throw unsupported(
      name,
      `XLF_CAN_BE_LOADED_ABOVE_4G is not set in xloadflags ${hex(h.xloadflags)} at offset 0x236`,
    );

  const setup_size = ((h.setup_sects || 4) + 1) * 512;
  const expected = setup_size + h.syssize * 16;
  if (size < expected)
    throw new KdumpError(
      'kernel-truncated',
      `${name}: truncated: the header at offset 0x1f1 promises ${expected} bytes, the file has ${size}`,
      { fix: 'Copy or install the kernel again.', facts: { size, expected } },
    );
  if (h.kernel_alignment === 0 || (h.kernel_alignment & (h.kernel_alignment - 1)) !== 0)
    throw unsupported(
      name,
      `kernel_alignment ${hex(h.kernel_alignment)} at offset 0x230 is not a power of two`,
    );
  if (h.pref_address > BigInt(Number.MAX_SAFE_INTEGER))
    throw unsupported(
      name,
      `pref_address 0x${h.pref_address.toString(16)} at offset 0x258 is no physical address`,
    );
  // The kernel refuses a segment with more bytes than memory; the file's payload must fit what it claims to need.
  if (size - setup_size > Math.ceil(h.init_size / PAGE) * PAGE)
    throw unsupported(
      name,
      `init_size ${h.init_size} at offset 0x260 is smaller than the ${size - setup_size} bytes it stands for`,
    );
  return {
    protocol: protocolOf(h.version),
    kernel_version: h.kernel_version === 0 ? null : textAt(head, h.kernel_version + 0x200),
    setup_size,
    init_size: h.init_size,
    kernel_alignment: h.kernel_alignment,
    pref_address: Number(h.pref_address),
    cmdline_size: h.cmdline_size,
    relocatable: h.relocatable_kernel !== 0,
    five_level: (h.xloadflags & XLF_5LEVEL) !== 0,
    signed: isPeSigned(head),
  };
}

/** [bytes at the start of a file, what such a file is]; first match wins. */
const otherFiles: readonly (readonly [offset: number, magic: string, what: string])[] = [
  [0, '\x89LZO', 'lzo-compressed, which is not read'],
  [0, 'BZh', 'bzip2-compressed, which is not read'],
  [0, '07070', 'a cpio archive (an initramfs?)'],
  [4, 'zimg', 'an EFI zboot image, as arm64, riscv and loongarch have them'],
  [56, 'ARM\x64', 'an arm64 Image'],
  [0, '\x27\x05\x19\x56', 'a U-Boot uImage'],
  [0, 'MZ', 'an EFI program without a Linux boot header'],
];

/** What a file that is no bzImage looks like, in words, or null. */
export function describeFile(head: Uint8Array): string | null {
  const matches = (offset: number, magic: string) =>
    head.length >= offset + magic.length &&
    [...magic].every((letter, i) => head[offset + i] === letter.charCodeAt(0));
  const found = otherFiles.find(([offset, magic]) => matches(offset, magic));
  if (found) return found[2];
  return head.length > 0 && head.every((byte) => byte === 0) ? 'only zero bytes' : null;
}

function notAKernel(
  name: string,
  head: Uint8Array,
  why: string,
  facts: Record<string, string | number> = {},
): KdumpError {
  const found = describeFile(head);
  return new KdumpError(
    'not-a-kernel',
    `${name}: not an x86 kernel (bzImage): ${why}${found === null ? '' : `; it looks like ${found}`}`,
    { fix: 'Give a kernel, usually /boot/vmlinuz-RELEASE.', facts: { ...facts, found } },
  );
}

function unsupported(name: string, why: string): KdumpError {
  return new KdumpError('kernel-unsupported', `${name}: this kernel cannot be loaded: ${why}`);
}

/** NUL-terminated text, cut at the end of what is there; null when it is empty or begins outside. */
function textAt(bytes: Uint8Array, offset: number): string | null {
  const end = bytes.indexOf(0, offset);
  const text = String.fromCharCode(
    ...bytes.subarray(offset, Math.min(end < 0 ? offset + 512 : end, offset + 512)),
  );
  return text === '' ? null : text;
}

function protocolOf(version: number): string {
  return `${version >> 8}.${version & 0xff}`;
}

function show(bytes: Uint8Array, offset: number): string {
  return [...bytes.subarray(offset, offset + 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
