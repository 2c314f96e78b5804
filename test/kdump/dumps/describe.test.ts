import { describe, expect, it } from 'vitest';
import { describeDump, describeList, formatBytes, whyNotWhole } from '../../../src/kdump/dumps/describe.ts';
import { withoutCopies } from '../../../src/kdump/dumps/saved-dump.ts';
import { savedDump } from './fixture.ts';

it('lists in columns', () => {
  const list = describeList([
    savedDump({ panic: 'BUG: x', bytes: 3 << 20 }),
    savedDump({ name: 'b', state: 'incomplete' }),
  ]);
  expect(list).toBe(
    [
      'TIME (UTC)           STATE       SIZE     NAME                     WHAT HAPPENED',
      '2026-01-01 00:00:00  complete    3.0 MiB  box-2026-01-01-00:00:00  BUG: x',
      '2026-01-01 00:00:00  incomplete  1.0 KiB  b',
      '',
    ].join('\n'),
  );
});

it('says where a dump is of which only the account is here', () => {
  const elsewhere = { place: 'kdump@vault:/srv/x', file: 'vmcore.flat', bytes: 5 << 20 };
  const account = savedDump({ vmcore: null, elsewhere });
  expect(describeList([account])).toContain(
    'complete  5.0 MiB  box-2026-01-01-00:00:00 (kdump@vault:/srv/x)\n',
  );
  expect(describeDump(account, '')).toMatch(
    /^Where: +kdump@vault:\/srv\/x\nMemory: +vmcore\.flat, 5\.0 MiB\n/m,
  );
  expect(describeDump(savedDump({ vmcore: null }), '')).toMatch(/^Memory: +none saved\n/m);
});

it('leaves out an account where the dump itself is seen', () => {
  const report = { crashTime: '2026-01-01T00:00:00Z' } as const;
  const account = savedDump({ name: 'account', report: { ...report, copy: true } });
  const dump = savedDump({ name: 'dump', report });
  const other = savedDump({ ...account, name: 'other', host: 'other' });
  expect(withoutCopies([account, dump, other]).map(({ name }) => name)).toEqual(['dump', 'other']);
  expect(withoutCopies([account])).toEqual([account]);
});

it('shows everything, whatever the report holds', () => {
  const report = {
    collector: 'makedumpfile -d 31',
    errors: [{ step: 'collect', code: 'x', message: 'the target is full', fix: 'Make room.' }],
    targets: [{ target: 'ssh kdump@vault', state: 'failed', bytes: 10, error: { message: 'refused' } }, 7],
  };
  const shown = describeDump(
    savedDump({ state: 'incomplete', panic: 'BUG: x', report: report as never }),
    'a\nb\n',
  );
  expect(shown).toMatch(
    /^State: +incomplete: the memory was not saved to its end\nWhy: +refused\nWhat happened: +BUG: x\n/,
  );
  expect(shown).toContain('\nTargets:\n  ssh kdump@vault: failed, 10 B: refused\n');
  expect(shown).toContain('\nErrors:\n  collect: the target is full\n    Make room.\n');
  expect(shown).toContain('\nEnd of vmcore-dmesg.txt:\n  a\n  b\n');
  expect(describeDump(savedDump({ report: { errors: 'none' } as never }), '')).not.toContain('Errors');
});

it('tells what happened in the words of the report, where there is one', () => {
  const shown = describeDump(savedDump({ panic: 'BUG: x', summary: 'The kernel crashed.' }), '');
  expect(shown).toMatch(/^What happened: +The kernel crashed\.\nLast words: +BUG: x\n/m);
});

describe('why a dump is not whole', () => {
  const why = (report: object, state: 'incomplete' | 'complete' = 'incomplete') =>
    whyNotWhole(savedDump({ state, report: report as never }));
  const full = { step: 'collect', code: 'ENOSPC', message: 'the target is full' };

  it('is what went wrong on the last target, and how much of it is there', () => {
    const refused = { target: 'a', error: { message: 'refused' } };
    const targets = [refused, { target: 'b', bytes: 3 << 20, expected: 10 << 20, error: full }];
    expect(why({ action: 'reboot', targets, errors: [full] })).toBe(
      'the target is full; 3.0 MiB of about 10.0 MiB',
    );
    expect(why({ action: 'reboot', targets: [{ bytes: 3, expected: null }], errors: [full] })).toBe(
      'the target is full',
    );
    expect(why({ action: 'reboot', targets: [], errors: [] })).toBeNull();
  });

  it('is that nothing more came, when the capture has not written down its end', () => {
    const elsewhere = { step: 'network', code: 'x', message: 'no link' };
    expect(why({ action: null, targets: [{ error: null }], errors: [elsewhere] })).toMatch(/cut short/);
    expect(why({ action: null, targets: [{ error: full }], errors: [full] })).toBe('the target is full');
    expect(describeDump(savedDump({ state: 'incomplete', report: { action: null } as never }), '')).toMatch(
      /^Why: +the capture was cut short/m,
    );
  });

  it('is nothing for one that is whole, or of others', () => {
    expect(why({ action: null, errors: [full] }, 'complete')).toBeNull();
    expect(whyNotWhole({ state: 'incomplete', report: null })).toBeNull();
  });
});

it('sends no control characters to a terminal', () => {
  expect(describeList([savedDump({ panic: '\x1b]0;x\x07' })])).not.toContain('\x1b');
  expect(describeDump(savedDump(), '\x1b[2J')).not.toContain('\x1b');
});

it('writes sizes', () => {
  expect([0, 1, 1023, 1024, 1536, 5 * 2 ** 30].map(formatBytes)).toEqual([
    '0 B',
    '1 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '5.0 GiB',
  ]);
});
