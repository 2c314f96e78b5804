// A kernel in the wrappings that it may come in, made by the host's own programs.
import { readFileSync, writeFileSync } from 'node:fs';
import { setupHeader } from '../../../src/formats/bzimage.ts';
import { readStruct } from '../../../src/lib/layout.ts';
import { decompress } from '../../../src/system/decompress.ts';
import { buildUki } from '../../helpers/uki.ts';
import { cached, cachePath, contentHash } from './cache.ts';
import type { LabKernel } from './kernels.ts';
import { check } from './process.ts';

export const wrappings = ['gzip', 'zstd', 'xz', 'lz4', 'uki', 'vmlinux'] as const;
export type Wrapping = (typeof wrappings)[number];

/** The programs that compress; lz4 in the format of the kernel's own build. */
const programs = {
  gzip: ['gzip', '-1', '-c'],
  zstd: ['zstd', '-1', '-q', '-c'],
  xz: ['xz', '-0', '-c'],
  lz4: ['lz4', '-l', '-1', '-q', '-c'],
} as const;

/** Path of a kernel in a wrapping; kept in the cache. */
export async function wrappedKernel({ release, vmlinuz }: LabKernel, wrapping: Wrapping): Promise<string> {
  const source = readFileSync(vmlinuz);
  const key = contentHash([source, wrapping, buildUki.toString()]);
  return cached(cachePath('images', `${wrapping}-${release}-${key}`), async (incomplete) => {
    if (wrapping === 'uki')
      writeFileSync(incomplete, buildUki({ linux: source, cmdline: Buffer.from('lab.from-uki\n') }));
    else if (wrapping === 'vmlinux') writeFileSync(incomplete, unpackedVmlinux(source));
    else await check('sh', ['-c', `"$@" <'${vmlinuz}' >'${incomplete}'`, 'sh', ...programs[wrapping]]);
  });
}

/** The ELF file that a bzImage carries (payload_offset, payload_length: Documentation/arch/x86/boot.rst). */
function unpackedVmlinux(bzImage: Uint8Array): Uint8Array {
  const { setup_sects } = readStruct(setupHeader, bzImage);
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength);
  const payload = (setup_sects + 1) * 512 + view.getUint32(0x248, true);
  // The last four bytes are the unpacked size.
  const length = view.getUint32(0x24c, true) - 4;
  return decompress(bzImage.subarray(payload, payload + length), 'the payload');
}
