import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crashReason, panicLine, withoutPrefix } from '../../../src/crash/triage/reason.ts';

/** A log with times and callers in front of its lines. */
const log = (...lines: string[]): string =>
  lines.map((line, i) => `[${String(i).padStart(5)}.000001] [${'T1'.padStart(8)}] ${line}\n`).join('');

test('what stands in front of a line is taken off', () => {
  expect(withoutPrefix('[    6.920445] [      T1] BUG: x')).toBe('BUG: x');
  expect(withoutPrefix('[12345.920445] BUG: x')).toBe('BUG: x');
  expect(withoutPrefix('<4>[    6.920445] [    C12] BUG: x')).toBe('BUG: x');
});

test('a NULL pointer: the address of the message, not what later faults left in CR2', () => {
  const reason = crashReason(
    log(
      'BUG: kernel NULL pointer dereference, address: 00000000000000e8',
      '#PF: supervisor write access in kernel mode',
      'Oops: 0002 [#1] PREEMPT SMP NOPTI',
      'RIP: 0010:lab_null+0xc/0x20 [kdump_lab]',
      'CR2: ffffffffc0425fe2 CR3: 0000000019002000 CR4: 00000000000006a0',
      'RIP: 0033:0x47b7a0',
      'Kernel panic - not syncing: Fatal exception',
    ),
  );
  expect(reason).toEqual({
    class: 'null-pointer',
    message: 'BUG: kernel NULL pointer dereference, address: 00000000000000e8',
    panic: 'Kernel panic - not syncing: Fatal exception',
    address: '0xe8',
    access: 'write',
    where: 'lab_null+0xc/0x20 [kdump_lab]',
    cpu: undefined,
    pid: undefined,
    earlier: [],
  });
});

test('a sysrq crash is a test: of kernels that panic, and of those that wrote to NULL', () => {
  const now = crashReason(log('sysrq: Trigger a crash', 'Kernel panic - not syncing: sysrq triggered crash'));
  expect(now).toMatchObject({ class: 'sysrq', message: 'Kernel panic - not syncing: sysrq triggered crash' });
  expect(now.panic).toBeUndefined();
  const before = crashReason(
    log(
      'sysrq: SysRq : Trigger a crash',
      'BUG: unable to handle kernel NULL pointer dereference at 0000000000000000',
    ),
  );
  expect(before).toMatchObject({ class: 'sysrq', address: '0x0' });
});

test('BUG() is an invalid opcode on purpose; an invalid opcode elsewhere is one', () => {
  const bug = crashReason(
    log(
      'WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2',
      'kernel BUG at mm/slub.c:435!',
      'invalid opcode: 0000 [#1]',
    ),
  );
  expect(bug).toMatchObject({ class: 'bug', message: 'kernel BUG at mm/slub.c:435!' });
  expect(bug.earlier).toEqual(['WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2']);
  expect(crashReason(log('invalid opcode: 0000 [#1] SMP')).class).toBe('invalid-opcode');
});

test('which page of a guard was hit is told by CR2 alone', () => {
  const reason = crashReason(
    log(
      'BUG: TASK stack guard page was hit at 0000000052541fb0 (stack is 0000000075157a4f..0000000003b781ed)',
      'CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033',
      'CR2: ffffd18d8000feb8 CR3: 0000000004a0e000',
    ),
  );
  expect(reason).toMatchObject({ class: 'stack-overflow', address: '0xffffd18d8000feb8' });
});

describe('watchdogs name who is stuck', () => {
  test.each([
    [
      'INFO: task lab_hung:143 blocked for more than 3 seconds.',
      'hung_task: blocked tasks',
      { class: 'hung-task', pid: 143, cpu: undefined },
    ],
    [
      'watchdog: BUG: soft lockup - CPU#1 stuck for 7s! [init:1]',
      'softlockup: hung tasks',
      { class: 'soft-lockup', cpu: 1, pid: 1 },
    ],
    ['watchdog: Watchdog detected hard LOCKUP on cpu 3', 'Hard LOCKUP', { class: 'hard-lockup', cpu: 3 }],
    ['rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:', 'RCU Stall', { class: 'rcu-stall' }],
  ])('%s', (message, panic, expected) => {
    const text = `Kernel panic - not syncing: ${panic}`;
    expect(crashReason(log(message, text))).toMatchObject({ ...expected, message, panic: text });
  });
});

test.each([
  ['panic_on_warn set ...', 'WARNING: CPU: 0 PID: 1 at kernel/fork.c:1 f+0x3/0x9', 'warning'],
  ['stack-protector: Kernel stack is corrupted in: f+0x1/0x2', '', 'stack-corruption'],
  ['Out of memory: compulsory panic_on_oom is enabled', '', 'out-of-memory'],
  ['Attempted to kill init! exitcode=0x00000009', '', 'init-died'],
  ['VFS: Unable to mount root fs on unknown-block(0,0)', '', 'no-root'],
  ['NMI: Not continuing', '', 'nmi'],
  ['told to die in an NMI', '', 'panic'],
])('%s', (panic, before, kind) => {
  expect(crashReason(log(before, `Kernel panic - not syncing: ${panic}`)).class).toBe(kind);
});

test('an oops that the kernel survived is not why it crashed', () => {
  const reason = crashReason(
    log(
      'BUG: unable to handle page fault for address: ffffffffc04cb408',
      'Kernel panic - not syncing: sysrq triggered crash',
    ),
  );
  expect(reason.class).toBe('sysrq');
  expect(reason.earlier).toEqual(['BUG: unable to handle page fault for address: ffffffffc04cb408']);
});

test('a log that tells of no crash', () => {
  expect(crashReason(log('Linux version 6.1'))).toMatchObject({ class: 'none', message: undefined });
  expect(crashReason('')).toMatchObject({ class: 'none' });
});

test('no log is too odd', () => {
  const piece = fc.constantFrom(
    'BUG: ',
    'Kernel panic - not syncing: ',
    'CR2: ',
    'RIP: 0010:',
    'address: ',
    '\n',
    '[',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string())), (pieces) => {
      expect(crashReason(pieces.join('')).earlier).toBeInstanceOf(Array);
    }),
  );
});

test('the line of the banner: an oops rather than the panic that only followed it', () => {
  const nullPointer = 'BUG: kernel NULL pointer dereference, address: 00000000000000e8';
  const fatal = 'Kernel panic - not syncing: Fatal exception in interrupt';
  expect(panicLine(log(nullPointer, '#PF: supervisor read access', 'Oops: 0000 [#1] SMP', fatal))).toBe(
    nullPointer,
  );
  expect(panicLine(log('Oops: 0002 [#1] SMP', fatal))).toBe('Oops: 0002 [#1] SMP');
  const protection =
    'Oops: general protection fault, probably for non-canonical address 0x6b6b6b6b6b6b6b6b: 0000 [#1] SMP';
  expect(panicLine(log(protection, fatal))).toBe(protection);
  expect(crashReason(log(protection, fatal))).toMatchObject({
    class: 'protection-fault',
    address: '0x6b6b6b6b6b6b6b6b',
    earlier: [],
  });
});

test('the line of the banner: the panic of all others; an oops that was survived is not what it died of', () => {
  const sysrq = 'Kernel panic - not syncing: sysrq triggered crash';
  expect(panicLine(log('sysrq: Trigger a crash', sysrq))).toBe(sysrq);
  const hung = 'Kernel panic - not syncing: hung_task: blocked tasks';
  const bug = ['kernel BUG at mm/slub.c:1!', 'invalid opcode: 0000 [#1] SMP'];
  expect(panicLine(log(...bug, 'INFO: task a:1 blocked for more than 120 seconds.', hung))).toBe(hung);
  expect(panicLine(log('sysrq: Trigger a crash'))).toBe('sysrq: Trigger a crash');
  expect(panicLine(log('all is well'))).toBeUndefined();
});

test('the line that counts an oops belongs to what is said in front of it', () => {
  const reason = crashReason(
    log('kernel BUG at a.c:1!', 'Oops: invalid opcode: 0000 [#1] SMP', 'later', 'Oops: 0000 [#2] SMP'),
  );
  expect(reason).toMatchObject({ class: 'bug', message: 'kernel BUG at a.c:1!', earlier: [] });
  const far = Array.from({ length: 20 }, (_, i) => `line ${i}`);
  expect(crashReason(log('kernel BUG at a.c:1!', ...far, 'Oops: 0000 [#2] SMP')).earlier).toEqual([
    'kernel BUG at a.c:1!',
  ]);
});
