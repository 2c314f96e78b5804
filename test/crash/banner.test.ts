import { expect, test } from 'vitest';
import { durationText, sizeText } from '../../src/crash/banner.ts';
import { centred } from '../../src/crash/text.ts';

test('durations and sizes as crash writes them', () => {
  expect(durationText(482)).toBe('00:08:02');
  expect(durationText(7 * 86_400 + 6 * 3600 + 37 * 60 + 46.9)).toBe('7 days, 06:37:46');
  expect(durationText(86_400)).toBe('1 day, 00:00:00');
  expect(sizeText(48 * 2 ** 30)).toBe('48 GB');
  expect(sizeText(511.5 * 2 ** 20)).toBe('511.5 MB');
  expect(sizeText(2.04 * 2 ** 30)).toBe('2 GB');
  expect(sizeText(640 * 1024)).toBe('640 KB');
  expect(centred('BASE', 9)).toBe('  BASE   ');
});
