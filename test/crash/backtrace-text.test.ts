import { describe, expect, test } from 'vitest';
import { backtraceLines, type FrameStyle } from '../../src/crash/backtrace-text.ts';
import type { Session } from '../../src/crash/session.ts';
import type { Frame } from '../../src/kernel/backtrace.ts';
import type { Registers } from '../../src/kernel/registers.ts';
import type { StackRange } from '../../src/kernel/stacks.ts';
import type { UnwindStop } from '../../src/kernel/unwind.ts';

const own: StackRange = { kind: 'task', name: 'task', start: 0x1000n, end: 0x5000n };
const nmi: StackRange = { kind: 'exception', name: 'NMI', start: 0x9000n, end: 0xb000n };
const style: FrameStyle = { offsets: false, radix: 10, sourceLines: false, between: undefined };
const session = {
  namelist: { path: 'vmlinux', sourceLine: (at: bigint) => `file.c: ${at}` },
} as unknown as Session;

const frame = (name: string | undefined, ip: bigint, change: Partial<Frame> = {}): Frame => ({
  ip,
  place:
    name === undefined
      ? undefined
      : { symbol: { name, address: ip - 16n, type: 't', module: undefined }, offset: 16, size: 64 },
  sp: 0x2008n,
  slot: 0x2000n,
  kind: 'call',
  registers: undefined,
  user: false,
  certain: true,
  stack: own,
  ...change,
});
const registers: Registers = { rip: 0xabcn, rsp: 0x3000n, rflags: 0x246n, cs: 0x10n, ss: 0x18n };
const lines = (frames: readonly Frame[], stop: UnwindStop = { reason: 'end' }, own = style): string[] => [
  ...backtraceLines(session, { frames, stop }, own),
];

test('a CPU that runs has its registers for itself', () => {
  const trace = { frames: [], stop: { reason: 'no-registers' } } as const;
  const of = (isLive: boolean) => [...backtraceLines({ ...session, isLive } as Session, trace, style)];
  expect(of(true)).toEqual(['(active)']);
  expect(of(false)).toEqual([expect.stringContaining('it did not answer')]);
});

describe('frames', () => {
  test('calls, with offsets and source lines when they are wanted', () => {
    const frames = [frame('panic', 0xffn)];
    expect(lines(frames)).toEqual([' #0 [0000000000002000] panic at 00000000000000ff']);
    expect(lines(frames, undefined, { ...style, offsets: true, radix: 16 })[0]).toContain('panic+0x10 at');
    // The line of the call, not of what follows it.
    expect(lines(frames, undefined, { ...style, sourceLines: true })[1]).toBe('    file.c: 254');
  });

  test('what was interrupted: registers, the stack that was left, then the function', () => {
    const text = lines([
      frame('exc_nmi', 0x100n, { stack: nmi }),
      frame('idle', 0xabcn, { registers, kind: 'exception', slot: undefined, sp: 0x3000n }),
    ]);
    expect(text[1]).toBe('    [exception RIP: idle+16]');
    expect(text[2]).toBe('    RIP: 0000000000000abc  RSP: 0000000000003000  RFLAGS: 00000246');
    // What the processor did not push is no zero.
    expect(text[3]).toContain('RAX: (not saved)');
    expect(text.slice(-2)).toEqual([
      '--- <NMI exception stack> ---',
      ' #1 [0000000000003000] idle at 0000000000000abc',
    ]);
  });

  test('user mode has registers and nothing else', () => {
    const text = lines(
      [frame('entry', 1n), frame(undefined, 2n, { registers, user: true, kind: 'syscall' })],
      { reason: 'user' },
    );
    expect(text.length).toBe(8);
    expect(text[1]).toMatch(/^ {4}RIP: /);
  });

  test('a guess is called one, and a trace that breaks off says why', () => {
    const missing = { missing: 'excluded', address: '0x2000' } as const;
    expect(lines([frame(undefined, 7n, { certain: false })], { reason: 'missing', missing })).toEqual([
      ' #0 [0000000000002000] (unknown) at 0000000000000007  (inexact)',
      'bt: the trace ends here: the stack at 0x2000 is not in the dump <excluded>',
    ]);
    expect(lines([], { reason: 'no-registers' })[0]).toContain('did not answer');
  });

  test('words of the stack up to the next frame on the same stack', () => {
    const seen: bigint[][] = [];
    const between = (start: bigint, end: bigint): string[] => {
      seen.push([start, end]);
      return [];
    };
    lines(
      [frame('a', 1n), frame('b', 2n, { slot: 0x2040n }), frame('c', 3n, { stack: nmi, slot: 0x9800n })],
      undefined,
      { ...style, between },
    );
    expect(seen).toEqual([[0x2008n, 0x2048n]]);
  });
});
