import { decompressLzo1x } from '../../src/formats/lzo.ts';
import { testBlockDecoder } from '../helpers/block-decoder.ts';

testBlockDecoder('lzo', decompressLzo1x);
