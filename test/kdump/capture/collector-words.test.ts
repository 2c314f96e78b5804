import { expect, test } from 'vitest';
import { collectRequest } from '../../../src/kdump/capture/collector-words.ts';

test('only words that write a dump make a core collector', () => {
  expect(collectRequest(['-c', '-d', '31', '/proc/vmcore', '/x'])).toMatchObject({
    dumpLevels: [31],
    compression: 'zlib',
  });
  expect(() => collectRequest(['--dump-dmesg', '/proc/vmcore', '/x'])).toThrow(/do not write one dump file/);
  expect(collectRequest(['-F', '-c', '/proc/vmcore', '/x']).target.kind).toBe('file');
  expect(() => collectRequest(['-d', '77', '/proc/vmcore', '/x'])).toThrow(/'77' is not a number/);
});
