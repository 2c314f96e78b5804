/**
 * Decodes a raw LZO1X block, for machines without liblzo2. Source of the format: the kernel's
 * Documentation/staging/lzo.rst (bitstream version 0). An instruction is a byte, sometimes a longer length, and a
 * distance; its last two bits of distance tell how many literals follow (S). What a byte below 16 means depends on how
 * many literals came before it:
 *
 *   1LLDDDSS            copy 5 to 8 bytes, distance of 11 bits, plus 1
 *   01LDDDSS            copy 3 or 4 bytes, distance of 11 bits, plus 1
 *   001LLLLL  D…DSS     copy 2 + L or more bytes, distance of 14 bits, plus 1
 *   0001HLLL  D…DSS     copy 2 + L or more bytes, distance of 15 bits, plus 16384; exactly 16384 is the end
 *   0000DDSS            after 1 to 3 literals: copy 2 bytes, distance of 10 bits, plus 1
 *                       after 4 or more literals: copy 3 bytes, distance of 10 bits, plus 2049
 *   0000LLLL            after none: 3 + L or more literals
 *
 * @param from where the block begins in `source`, `length` bytes of it
 * @param at where the plain bytes go in `target`, exactly `size` of them
 * @returns whether the block is valid and exactly that long; nothing outside the given ranges is touched
 */
export function decompressLzo1x(
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
  let output = at;
  /** Literals before the next instruction; 4 stands for any larger number. */
  let state = 0;

  // The first byte may be literals in a form of its own.
  if (source[input]! > 17) {
    const count = source[input++]! - 17;
    if (input + count > end || output + count > limit) return false;
    target.set(source.subarray(input, input + count), output);
    input += count;
    output += count;
    state = Math.min(count, 4);
  }

  while (input < end) {
    const instruction = source[input++]!;
    let count: number;
    let distance: number;
    let literals: number;
    if (instruction >= 64) {
      if (input >= end) return false;
      count = instruction >= 128 ? 5 + ((instruction >>> 5) & 3) : 3 + ((instruction >>> 5) & 1);
      distance = source[input++]! * 8 + ((instruction >>> 2) & 7) + 1;
      literals = instruction & 3;
    } else if (instruction < 16 && state !== 0) {
      if (input >= end) return false;
      count = state === 4 ? 3 : 2;
      distance = source[input++]! * 4 + (instruction >>> 2) + (state === 4 ? 2049 : 1);
      literals = instruction & 3;
    } else {
      const mask = instruction >= 32 ? 31 : instruction >= 16 ? 7 : 15;
      count = instruction & mask;
      if (count === 0) {
        // Each zero byte stands for 255 more.
        count = mask;
        while (input < end && source[input] === 0) {
          count += 255;
          input++;
        }
        if (input >= end) return false;
        count += source[input++]!;
      }
      if (instruction < 16) {
        count += 3;
        if (input + count > end || output + count > limit) return false;
        target.set(source.subarray(input, input + count), output);
        input += count;
        output += count;
        state = 4;
        continue;
      }
      if (input + 2 > end) return false;
      const word = source[input]! + source[input + 1]! * 256;
      input += 2;
      count += 2;
      distance = (word >>> 2) + 1;
      if (instruction < 32) {
        distance += 16383 + ((instruction & 8) << 11);
        if (distance === 16384) return input === end && output === limit;
      }
      literals = word & 3;
    }
    if (distance > output - at || output + count > limit) return false;
    // Byte by byte: a copy may overlap what it writes.
    for (let copied = 0; copied < count; copied++, output++) target[output] = target[output - distance]!;
    if (input + literals > end || output + literals > limit) return false;
    for (let copied = 0; copied < literals; copied++) target[output++] = source[input++]!;
    state = literals;
  }
  return false;
}
