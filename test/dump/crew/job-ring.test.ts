import { expect, test } from 'vitest';
import { JobRing } from '../../../src/dump/crew/job-ring.ts';
import { PageBitmap } from '../../../src/lib/bitmap.ts';

const newRing = (slots = 3): { main: JobRing; worker: JobRing } => {
  const memory = JobRing.allocate(slots, 4096, 100, 64);
  return { main: new JobRing(memory), worker: new JobRing(memory) };
};
const bitmap = new PageBitmap(512, 64, 1024);

test('a job is what was published, on either side, and is claimed once', () => {
  const { main, worker } = newRing();
  expect(worker.claim()).toBeUndefined();
  main.publish(0, { kind: 'copy', start: 1030, end: 1100, bitmap });
  main.publish(1, { kind: 'judge', start: 1100, end: 1536, bitmap });
  expect(worker.claim()).toBe(0);
  expect(main.claim()).toBe(1);
  expect([worker.claim(), main.claim()]).toEqual([undefined, undefined]);
  expect(worker.job(0)).toMatchObject({ kind: 'copy', start: 1030, end: 1100 });
  expect(main.job(1)).toMatchObject({ kind: 'judge', start: 1100, end: 1536 });
  expect(worker.job(0).bitmap).toMatchObject({ first: 1024, length: 512 });
});

test('page frames beyond 32 bits pass through', () => {
  const { main, worker } = newRing();
  const far = new PageBitmap(512, 64, 2 ** 36);
  main.publish(0, { kind: 'copy', start: 2 ** 36 + 8, end: 2 ** 36 + 16, bitmap: far });
  expect(worker.job(0)).toMatchObject({ start: 2 ** 36 + 8, end: 2 ** 36 + 16 });
  expect(worker.job(0).bitmap.first).toBe(2 ** 36);
});

test('the bits are shared', () => {
  const { main, worker } = newRing();
  const bytes = new Uint8Array(main.memory.bitmap);
  const shared = new PageBitmap(512, 64, 1024, bytes);
  main.publish(0, { kind: 'judge', start: 1024, end: 1536, bitmap: shared });
  shared.setRange(1100, 1200);
  const seen = worker.job(0).bitmap;
  expect([seen.nextSet(1024), seen.nextClear(1100)]).toEqual([1100, 1200]);
  seen.clearRange(1100, 1199);
  expect(shared.count()).toBe(1);
});

test('a job stands open, then done or refused; a slot that is used again forgets what was before', () => {
  const { main, worker } = newRing(1);
  main.publish(0, { kind: 'copy', start: 0, end: 1, bitmap });
  expect(main.stateOf(0)).toBe('open');
  worker.finish(worker.claim()!, true);
  expect(main.stateOf(0)).toBe('done');
  main.publish(1, { kind: 'copy', start: 1, end: 2, bitmap });
  expect(main.stateOf(1)).toBe('open');
  worker.finish(worker.claim()!, false);
  expect(main.stateOf(1)).toBe('refused');
});

test('nobody waits for what is there, and a wait ends by its bound', () => {
  const { main, worker } = newRing();
  main.publish(0, { kind: 'copy', start: 0, end: 1, bitmap });
  expect(worker.waitForJob()).toBe(true);
  main.waitFor(0, 1);
  expect(main.stateOf(0)).toBe('open');
  worker.finish(0, true);
  main.waitFor(0, 60_000);
  main.waitUntilLeft(1, 1);
  worker.leave();
  main.waitUntilLeft(1, 60_000);
});

test('after the end there is nothing to claim, even of what was published', () => {
  const { main, worker } = newRing();
  main.publish(0, { kind: 'copy', start: 0, end: 1, bitmap });
  expect(worker.isOpen).toBe(true);
  main.stop();
  expect([worker.isOpen, worker.waitForJob(), worker.claim()]).toEqual([false, false, undefined]);
});
