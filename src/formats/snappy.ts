/**
 * Decodes a raw snappy block, for machines without libsnappy. Source of the format: snappy's format_description.txt:
 * the plain length as a varint, then elements that each begin with a tag byte, whose low two bits tell the kind.
 *
 *   00  literal, length - 1 in the upper six bits; 60 to 63: in the one to four bytes that follow
 *   01  copy of 4 to 11 bytes, offset of 11 bits
 *   10  copy of 1 to 64 bytes, offset of 16 bits
 *   11  copy of 1 to 64 bytes, offset of 32 bits
 *
 * @param from where the block begins in `source`, `length` bytes of it
 * @param at where the plain bytes go in `target`, exactly `size` of them
 * @returns whether the block is valid and exactly that long; nothing outside the given ranges is touched
 */
export function decompressSnappy(
  source: Uint8Array,
  from: number,
  length: number,
  target: Uint8Array,
  at: number,
  size: number,
): boolean {
  const end = from + length;
  const limit = at + size;
  if (length <= 0 || end > source.length || limit > target.length) return false;

  let input = from;
  let plain = 0;
  for (let shift = 0; ; shift += 7) {
    if (input >= end || shift > 28) return false;
    const byte = source[input++]!;
    plain += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (plain !== size) return false;

  let output = at;
  while (input < end) {
    const tag = source[input++]!;
    const kind = tag & 3;
    let count = (tag >>> 2) + 1;
    if (kind === 0) {
      if (count > 60) {
        const bytes = count - 60;
        if (input + bytes > end) return false;
        count = littleEndian(source, input, bytes) + 1;
        input += bytes;
      }
      if (input + count > end || output + count > limit) return false;
      target.set(source.subarray(input, input + count), output);
      input += count;
      output += count;
      continue;
    }
    let offset: number;
    if (kind === 1) {
      if (input >= end) return false;
      count = 4 + ((tag >>> 2) & 7);
      offset = ((tag >>> 5) << 8) + source[input++]!;
    } else {
      const bytes = kind === 2 ? 2 : 4;
      if (input + bytes > end) return false;
      offset = littleEndian(source, input, bytes);
      input += bytes;
    }
    if (offset === 0 || offset > output - at || output + count > limit) return false;
    // Byte by byte: a copy may overlap what it writes.
    for (let copied = 0; copied < count; copied++, output++) target[output] = target[output - offset]!;
  }
  return output === limit;
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  return value;
}
