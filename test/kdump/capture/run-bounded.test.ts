import { expect, it } from 'vitest';
import { runBounded } from '../../../src/kdump/capture/run-bounded.ts';

it('gives a program its input and takes its status', () => {
  const input = Buffer.alloc(1 << 20, 'x');
  expect(runBounded('sh', ['-c', 'wc -c; exit 4'], 30, { input })).toEqual({
    status: 4,
    said: `${1 << 20}\n`,
  });
});

it('does not mind a program that does not want its input', () => {
  expect(runBounded('true', [], 30, { input: Buffer.alloc(1 << 20) }).status).toBe(0);
});

it('does not wait for what a program leaves running', () => {
  expect(runBounded('sh', ['-c', 'sleep 1000 & echo gone'], 30)).toEqual({ status: 0, said: 'gone\n' });
});

it('ends one that does not end', () => {
  expect(() => runBounded('sleep', ['1000'], 0.1)).toThrow(expect.objectContaining({ code: 'timed-out' }));
});
