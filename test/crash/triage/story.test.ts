import { expect, test } from 'vitest';
import { folded, wrapped } from '../../../src/crash/triage/describe.ts';
import { meanings, tellStory } from '../../../src/crash/triage/story.ts';
import { triage } from '../../../src/crash/triage/triage.ts';
import { Kernel } from '../../../src/kernel/kernel.ts';
import { fakeCore } from '../../helpers/kernel.ts';

const kernel = new Kernel(fakeCore({}), {});
const nothing = triage(kernel, '');

test('of a kernel without symbols the log still tells', () => {
  const facts = triage(kernel, '[ 1.000000] Kernel panic - not syncing: sysrq triggered crash\n');
  expect(facts).toMatchObject({
    task: null,
    blamed: null,
    trace: [],
    objects: [],
    signature: { class: 'sysrq', frames: [] },
  });
  expect(tellStory(facts, { release: '6.6.6', uptime: 7200 })).toBe(
    `The kernel 6.6.6 crashed 120 minutes after its boot: ${meanings.sysrq}.`,
  );
});

test('without a crash there is no story', () => {
  expect(tellStory(nothing)).toMatch(/^The kernel did not crash as far as its log tells/);
});

test('of a kernel that runs, what its log tells of is no crash', () => {
  const facts = { release: '6.6.6', live: true };
  expect(tellStory(nothing, facts)).toBe(
    'The kernel 6.6.6 runs, and changes while this is read. Its log tells of nothing that it could have died of.',
  );
  const oops = triage(
    kernel,
    '[ 1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000010\n',
  );
  expect(tellStory(oops, facts)).toContain('BUG: kernel NULL pointer dereference');
  expect(tellStory(oops, facts)).not.toContain('crashed');
});

test('an unloaded module is told of with the address, not twice', () => {
  const task = { pid: 0, comm: 'swapper/1', address: '0x1', cpu: 1, state: null };
  const facts = {
    ...nothing,
    reason: { ...nothing.reason, class: 'bad-address' as const },
    task,
    panicTask: task,
    context: 'softirq' as const,
    blamed: { place: '__run_timers+0xd3/0x2c0', function: '__run_timers', module: null, source: null },
    lastUnloaded: 'lab',
    fault: {
      address: '0xffffffffc04cb408',
      access: 'write' as const,
      findings: [{ kind: 'former-module' as const, text: 'of no module; the last one unloaded was lab' }],
      operand: { text: 'rcx+0x8', registers: { rcx: '0xffffffffc04cb400' } },
    },
  };
  const story = tellStory(facts);
  expect(story).toContain(
    'in __run_timers+0xd3/0x2c0, in a softirq; what it interrupted was swapper/1 (pid 0) on CPU 1.',
  );
  expect(story).toContain(
    'It was writing to 0xffffffffc04cb408 (of no module; the last one unloaded was lab).',
  );
  expect(story).toContain('formed as rcx+0x8: rcx was 0xffffffffc04cb400');
  expect(story.match(/unloaded/g)).toHaveLength(1);
});

test('equal frames are counted, and not all are shown', () => {
  expect(folded(['f', 'f', 'g', 'f'])).toEqual(['f  (2 times)', 'g', 'f']);
  const many = folded(Array.from({ length: 40 }, (_, i) => `f${i}`));
  expect(many.at(-1)).toBe('and 16 more');
});

test('a paragraph is broken between words', () => {
  const text = 'word '.repeat(60).trim();
  const lines = [...wrapped(text)];
  expect(lines.join(' ')).toBe(text);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100);
});
