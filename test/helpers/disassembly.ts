/** One instruction: its offset, its bytes in hex, and what objdump calls it. */
export type Instruction = { readonly offset: number; readonly bytes: string; readonly text: string };

/**
 * Instructions of a listing: as objdump prints it (`--wide`), or of a golden. Columns may be apart by any white space, so
 * that a newer objdump's listing is the same one.
 */
export function instructionsOf(listing: string): Instruction[] {
  return [...listing.matchAll(/^ *([0-9a-f]+):\s+((?:[0-9a-f]{2} )+)\s*(\S.*)$/gm)].map(
    ([, offset, bytes, text]) => ({
      offset: Number.parseInt(offset!, 16),
      bytes: bytes!.replaceAll(' ', ''),
      text: text!.trim().replace(/\s+/g, ' '),
    }),
  );
}

/** A listing of our own: one line for each instruction. */
export function listingOf(instructions: readonly Instruction[]): string {
  const spaced = (bytes: string) => bytes.replace(/../g, '$& ').trim();
  return instructions
    .map(
      ({ offset, bytes, text }) =>
        `${offset.toString(16).padStart(4)}: ${spaced(bytes).padEnd(32)} ${text}\n`,
    )
    .join('');
}
