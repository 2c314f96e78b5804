import { expect, test } from 'vitest';
import { formatEta, progressLine } from '../../src/lib/progress.ts';

// Lines as makedumpfile 1.7.8 printed them.
test.each([
  [
    'Checking for memory holes',
    0,
    0,
    0,
    '\rChecking for memory holes                         : [100.0 %] /           eta: 0s',
  ],
  [
    'Copying data',
    1,
    10,
    6,
    '\rCopying data                                      : [ 10.0 %] |          eta: 54s',
  ],
])('%s %d of %d', (label, done, total, elapsed, line) => {
  expect(progressLine(label, done, total, elapsed, done)).toBe(line);
});

test.each([
  [0, 10, ''],
  [0.5, 42, 'eta: 42s'],
  [0.5, 723, 'eta: 12m3s'],
  [0.5, 18600, 'eta: 5h10m'],
  [0.5, 273600, 'eta: 3d4h'],
  [0.001, 100000, 'eta: >100day'],
])('ETA at ratio %d after %d s', (ratio, elapsed, text) => {
  expect(formatEta(ratio, elapsed)).toBe(text);
});
