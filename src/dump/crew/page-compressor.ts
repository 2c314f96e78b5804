import type { Codec } from '../../formats/diskdump.ts';
import { type Compressor, openCompressor } from '../../system/codecs.ts';

/** How pages are stored: as they are, or by one of the format's codecs. */
export type Compression = Codec;

/** A compressor chosen for a dump. */
export type PageCompressor = {
  readonly codec: Compression;
  readonly library: string | undefined;
  /** undefined: pages are stored as they are. */
  readonly compressor: Compressor | undefined;
  /** Bytes beyond a page that compressing one may touch. */
  slack(pageSize: number): number;
};

/**
 * Opens the compressor for a codec. A missing library must not cost the dump: zlib, which node always brings along,
 * takes its place, and the user is told.
 */
export function openPageCompressor(codec: Compression, tell: (text: string) => void): PageCompressor {
  if (codec === 'none') return { codec, library: undefined, compressor: undefined, slack: () => 0 };
  const wanted = openCompressor(codec);
  if (wanted === undefined) {
    tell(`The library for ${codec} is not installed; pages are compressed with zlib instead.`);
    return openPageCompressor('zlib', tell);
  }
  return {
    codec,
    library: wanted.library,
    compressor: wanted,
    slack: (pageSize) => Math.max(0, wanted.bound(pageSize) - pageSize),
  };
}
