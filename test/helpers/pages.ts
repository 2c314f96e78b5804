import fc from 'fast-check';
import { noisePage, pageSize, textPage } from './vmcore.ts';

/** Pages as memory has them: repeated patterns, text, zeros and noise in pieces of every length. */
export const anyPage: fc.Arbitrary<Buffer> = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.constant(new Uint8Array(1)),
        fc.nat(1000).map((seed) => textPage(seed)),
        fc.nat(1000).map((seed) => noisePage(seed)),
      ),
      fc.integer({ min: 1, max: pageSize }),
    ),
    { minLength: 1, maxLength: 20 },
  )
  .map((pieces) => {
    const page = Buffer.alloc(pageSize);
    let at = 0;
    for (const [pattern, length] of pieces) {
      const end = Math.min(pageSize, at + length);
      for (; at < end; at += pattern.length) page.set(pattern.subarray(0, end - at), at);
      at = end;
    }
    return page;
  });
