import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planRetention, type RetentionPolicy } from '../../../src/kdump/dumps/retention.ts';
import type { SavedDump } from '../../../src/kdump/dumps/saved-dump.ts';
import { savedDump } from './fixture.ts';

const none: RetentionPolicy = { count: null, bytes: null, freePercent: null, ageSeconds: null };
const space = { free: 1000, total: 100_000 };
const hour = 3_600_000;
const start = Date.UTC(2026, 0, 1);
const now = start + 1000 * hour;

/** One dump an hour, each of a cause of its own unless told. */
const hourly = (causes: readonly (string | null)[]): SavedDump[] =>
  causes.map((panic, index) =>
    savedDump({ name: `d${index}`, time: new Date(start + index * hour).toISOString(), panic }),
  );
const names = (dumps: readonly SavedDump[]): string[] => dumps.map(({ name }) => name);
const plan = (dumps: readonly SavedDump[], policy: Partial<RetentionPolicy>, there = space): string[] =>
  names(planRetention(dumps, { ...none, ...policy }, there, now));

describe('planRetention', () => {
  const four = hourly(['BUG: a', 'BUG: b', 'BUG: c', 'BUG: d']);

  it('removes nothing without a policy, and nothing of nothing', () => {
    expect(plan(four, {})).toEqual([]);
    expect(plan([], { count: 1 })).toEqual([]);
  });

  it('keeps so many, the newest', () => {
    expect(plan(four, { count: 2 })).toEqual(['d0', 'd1']);
    expect(plan([...four].reverse(), { count: 2 })).toEqual(['d0', 'd1']);
    expect(plan(four, { count: 4 })).toEqual([]);
  });

  it('keeps so many bytes', () => {
    expect(plan(four, { bytes: 3 * 1024 })).toEqual(['d0']);
    expect(plan(four, { bytes: 1 })).toEqual(['d0', 'd1', 'd2']);
  });

  it('keeps so much free, counting what it removes', () => {
    expect(plan(four, { freePercent: 2 })).toEqual(['d0']);
    expect(plan(four, { freePercent: 1 })).toEqual([]);
    expect(plan(four, { freePercent: 99 })).toEqual(['d0', 'd1', 'd2']);
  });

  it('removes what is too old, but for the newest', () => {
    expect(plan(four, { ageSeconds: (1000 - 1) * 3600 })).toEqual(['d0']);
    expect(plan(four, { ageSeconds: 1 })).toEqual(['d0', 'd1', 'd2']);
  });

  it('removes the middle of a crash loop first, and never the first and the last of the newest', () => {
    const loop = hourly(['BUG: old', ...Array(4).fill('Oops: 0002 at 0xffff8881 CPU 3')]);
    expect(plan(loop, { count: 3 })).toEqual(['d2', 'd3']);
    expect(plan(loop, { count: 1 })).toEqual(['d2', 'd3', 'd0']);
  });

  it('does nothing when the newest is not complete', () => {
    const broken = [...four.slice(0, 3), savedDump({ ...four[3], state: 'incomplete' })];
    expect(plan(broken, { count: 1 })).toEqual([]);
  });

  it('lets the dumps of other machines alone', () => {
    const other = savedDump({ name: 'other', host: 'other', time: new Date(start - hour).toISOString() });
    expect(plan([other, ...four], { count: 1 })).toEqual(['d0', 'd1', 'd2']);
  });

  const bound = fc.option(fc.integer({ min: 1, max: 10_000 }), { nil: null });
  const policies = fc.record({
    count: fc.option(fc.integer({ min: 1, max: 8 }), { nil: null }),
    bytes: bound,
    freePercent: fc.option(fc.integer({ min: 1, max: 99 }), { nil: null }),
    ageSeconds: bound,
  });
  const dumps = fc
    .array(
      fc.record({
        hours: fc.integer({ min: 0, max: 200 }),
        bytes: fc.nat(2000),
        host: fc.constantFrom('a', 'b', null),
        panic: fc.constantFrom('BUG: x', 'BUG: y', null),
        state: fc.constantFrom('complete' as const, 'incomplete' as const, 'failed' as const),
      }),
      { maxLength: 12 },
    )
    .map((all) =>
      all.map(({ hours, ...rest }, index) =>
        savedDump({ name: `d${index}`, time: new Date(start + hours * hour).toISOString(), ...rest }),
      ),
    );

  it('keeps the newest, holds to one machine, and removes no more than it must', () => {
    fc.assert(
      fc.property(dumps, policies, (all, policy) => {
        const removed = planRetention(all, policy, space, now);
        expect(new Set(removed).size).toBe(removed.length);
        if (removed.length === 0) return;
        const newest = [...all]
          .sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || (a.name < b.name ? -1 : 1))
          .at(-1)!;
        expect(newest.state).toBe('complete');
        expect(removed).not.toContain(newest);
        for (const { host } of removed) expect(host).toBe(newest.host);
        // Were the last one kept, a bound would not hold.
        const last = removed.at(-1)!;
        const kept = all.filter(
          (dump) => dump.host === newest.host && (dump === last || !removed.includes(dump)),
        );
        const bytes = kept.reduce((sum, dump) => sum + dump.bytes, 0);
        const free = space.free + removed.slice(0, -1).reduce((sum, dump) => sum + dump.bytes, 0);
        expect(
          (policy.count !== null && kept.length > policy.count) ||
            (policy.bytes !== null && bytes > policy.bytes) ||
            (policy.freePercent !== null && free < (space.total * policy.freePercent) / 100) ||
            (policy.ageSeconds !== null && now - Date.parse(last.time) > policy.ageSeconds * 1000),
        ).toBe(true);
      }),
    );
  });

  it('holds the bound on the number, but for the first of the newest series', () => {
    fc.assert(
      fc.property(dumps, fc.integer({ min: 1, max: 8 }), (all, count) => {
        const removed = planRetention(all, { ...none, count }, space, now);
        const newest = [...all]
          .sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || (a.name < b.name ? -1 : 1))
          .at(-1);
        if (newest?.state !== 'complete') return;
        const kept = all.filter((dump) => dump.host === newest.host && !removed.includes(dump));
        expect(kept.length).toBeLessThanOrEqual(Math.max(count, 2));
      }),
    );
  });
});
