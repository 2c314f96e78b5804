import { decompressSnappy } from '../../src/formats/snappy.ts';
import { testBlockDecoder } from '../helpers/block-decoder.ts';

testBlockDecoder('snappy', decompressSnappy);
