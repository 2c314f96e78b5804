import { bzImageHeadBytes, setupHeader } from '../../src/formats/bzimage.ts';
import { type Struct, writeStruct } from '../../src/lib/layout.ts';

/** The numbers of Debian's 6.1 cloud kernel. */
const debian61: Partial<Struct<typeof setupHeader.fields>> = {
  setup_sects: 39,
  syssize: 885280,
  boot_flag: 0xaa55,
  header: 0x53726448,
  version: 0x020f,
  kernel_version: 0x42c0,
  loadflags: 1,
  kernel_alignment: 0x200000,
  relocatable_kernel: 1,
  xloadflags: 0x7f,
  cmdline_size: 2047,
  pref_address: 0x1000000n,
  init_size: 0x3378000,
};

export const syntheticSize = 40 * 512 + 885280 * 16;

/**
 * The beginning of a bzImage with nothing behind its headers.
 * @param signed puts a PE header with a certificate table where the EFI stub has it.
 */
export function syntheticHead(
  fields: Partial<Struct<typeof setupHeader.fields>> = {},
  { signed = false, text = '6.1.0-56-cloud-amd64 (builder@example.org) #1 SMP' } = {},
): Uint8Array {
  const head = new Uint8Array(bzImageHeadBytes);
  const values = { ...debian61, ...fields };
  writeStruct(setupHeader, head, 0, values);
  if (values.kernel_version) head.set(new TextEncoder().encode(text), values.kernel_version + 0x200);
  const view = new DataView(head.buffer);
  view.setUint16(0, 0x5a4d, true);
  view.setUint32(0x3c, 64, true);
  view.setUint32(64, 0x4550, true);
  view.setUint16(64 + 24, 0x20b, true);
  if (signed) {
    view.setUint32(64 + 24 + 112 + 32, syntheticSize, true);
    view.setUint32(64 + 24 + 112 + 36, 1472, true);
  }
  return head;
}
