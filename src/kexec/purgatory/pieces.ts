/** Pieces of machine code that wait for the addresses of labels. */
export type Piece =
  | { readonly kind: 'label'; readonly name: string }
  /** Zeros up to a multiple of `size`. */
  | { readonly kind: 'align'; readonly size: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array | readonly number[] }
  /** An instruction whose 32-bit displacement, behind `head`, reaches a label from the instruction's end. */
  | {
      readonly kind: 'relative';
      readonly head: readonly number[];
      readonly label: string;
      readonly displacement: number;
      readonly immediate: readonly number[];
    }
  /** An opcode, and the distance from the instruction's end in 8 bits (`short`) or in 32 (`long`). */
  | {
      readonly kind: 'jump';
      readonly target: string;
      readonly short: readonly number[] | null;
      readonly long: readonly number[];
    };

export type MachineCode = {
  readonly bytes: Uint8Array;
  /** Bytes from the beginning. */
  readonly labels: ReadonlyMap<string, number>;
};

/**
 * Puts pieces one behind the other, with every jump as short as it can be.
 * @throws RangeError for a label that is used and not there, or there twice.
 */
export function joinPieces(pieces: readonly Piece[]): MachineCode {
  // Jumps begin short and only grow, so this ends. One that grows may push the target of another too far away.
  const long = new Set(pieces.filter((piece) => piece.kind === 'jump' && piece.short === null));
  for (;;) {
    const { ends, labels } = place(pieces, long);
    const tooFar = pieces.filter(
      (piece, i) =>
        piece.kind === 'jump' && !long.has(piece) && !fitsByte(addressOf(labels, piece.target) - ends[i]!),
    );
    if (tooFar.length === 0) {
      const bytes = pieces.flatMap((piece, i) => encode(piece, ends[i - 1] ?? 0, ends[i]!, labels, long));
      return { bytes: Uint8Array.from(bytes), labels };
    }
    for (const piece of tooFar) long.add(piece);
  }
}

/** Where each piece ends, and where that leaves the labels. */
function place(
  pieces: readonly Piece[],
  long: ReadonlySet<Piece>,
): { ends: readonly number[]; labels: ReadonlyMap<string, number> } {
  const labels = new Map<string, number>();
  let offset = 0;
  const ends = pieces.map((piece) => {
    if (piece.kind === 'label') {
      if (labels.has(piece.name)) throw new RangeError(`label ${piece.name} is there twice`);
      labels.set(piece.name, offset);
    }
    offset += sizeOf(piece, offset, long);
    return offset;
  });
  return { ends, labels };
}

function sizeOf(piece: Piece, offset: number, long: ReadonlySet<Piece>): number {
  switch (piece.kind) {
    case 'label':
      return 0;
    case 'align':
      return (piece.size - (offset % piece.size)) % piece.size;
    case 'bytes':
      return piece.bytes.length;
    case 'relative':
      return piece.head.length + 4 + piece.immediate.length;
    case 'jump':
      return long.has(piece) ? piece.long.length + 4 : piece.short!.length + 1;
  }
}

function encode(
  piece: Piece,
  start: number,
  end: number,
  labels: ReadonlyMap<string, number>,
  long: ReadonlySet<Piece>,
): readonly number[] {
  switch (piece.kind) {
    case 'label':
      return [];
    case 'align':
      return new Array<number>(end - start).fill(0);
    case 'bytes':
      return [...piece.bytes];
    case 'relative': {
      const distance = addressOf(labels, piece.label) + piece.displacement - end;
      return [...piece.head, ...little(distance, 4), ...piece.immediate];
    }
    case 'jump': {
      const distance = addressOf(labels, piece.target) - end;
      return long.has(piece)
        ? [...piece.long, ...little(distance, 4)]
        : [...piece.short!, ...little(distance, 1)];
    }
  }
}

function addressOf(labels: ReadonlyMap<string, number>, name: string): number {
  const found = labels.get(name);
  if (found === undefined) throw new RangeError(`label ${name} is not there`);
  return found;
}

/** Whether a byte with a sign holds it. */
export const fitsByte = (value: number): boolean => value >= -128 && value <= 127;

/** A number in two's complement, the lowest byte first. */
export function little(value: number, bytes: number): number[] {
  if (value < -(2 ** (8 * bytes - 1)) || value >= 2 ** (8 * bytes))
    throw new RangeError(`${value} does not fit ${bytes} bytes`);
  return Array.from({ length: bytes }, (_, i) => (value >> (8 * i)) & 0xff);
}
