import { describe, expect, test } from 'vitest';
import type { OrcEntry } from '../../src/formats/orc.ts';
import { type Backtrace, followStack, stateOfRegisters, stateOfSlot } from '../../src/kernel/backtrace.ts';
import { type Registers, registerNames } from '../../src/kernel/registers.ts';
import { SymbolTable } from '../../src/kernel/symbol-table.ts';
import type { Unwinder } from '../../src/kernel/unwind.ts';
import { fakeCore } from '../helpers/kernel.ts';

const text = 0xffff_ffff_8100_0000n;
const stackStart = 0xffff_8000_0000_0000n;
const stack = { kind: 'task', name: 'task', start: stackStart, end: stackStart + 4096n } as const;

/** Functions of 256 bytes each, in this order. */
const functions = ['_text', 'inner', 'outer', 'asm_sysvec_timer', 'worker', '__crash_kexec', 'panic', '_end'];
const at = (name: string, offset = 0): bigint => text + BigInt(functions.indexOf(name) * 256 + offset);

const orcEntry = (type: OrcEntry['type'], spOffset = 0, more: Partial<OrcEntry> = {}): OrcEntry => ({
  sp: 'sp',
  spOffset,
  bp: 'undefined',
  bpOffset: 0,
  type,
  signal: type === 'registers' || type === 'partial',
  ...more,
});

/**
 * @param slots values of words of the stack by their offsets
 * @param orc entries of functions; undefined for a kernel with frame pointers
 * @param code bytes of functions by address
 */
function unwinder(
  slots: Readonly<Record<number, bigint>>,
  orc: Readonly<Record<string, OrcEntry>> | undefined,
  code: readonly (readonly [address: bigint, bytes: readonly number[]])[] = [],
): Unwinder {
  const bytes = Buffer.alloc(4096);
  for (const [offset, value] of Object.entries(slots)) bytes.writeBigUInt64LE(value, Number(offset));
  const image = Buffer.alloc(functions.length * 256, 0x90);
  for (const [address, content] of code) Buffer.from(content).copy(image, Number(address - text));
  const core = fakeCore({
    pieces: [
      { vaddr: stackStart, bytes },
      { vaddr: text, bytes: image },
    ],
    symbols: Object.fromEntries(functions.map((name) => [name, at(name)])),
  });
  const symbols = new SymbolTable(core.kallsyms, () => []);
  const find = (ip: bigint): OrcEntry | undefined => orc?.[symbols.at(ip)?.symbol.name ?? ''];
  return {
    core,
    symbols,
    orc: orc && { find },
    framePointers: orc === undefined,
    stackOf: (address) => (address >= stack.start && address < stack.end ? stack : undefined),
  };
}

const registers = (values: Partial<Registers>): Registers => {
  const all = Object.fromEntries(registerNames.map((name) => [name, 0n]));
  return { ...all, cs: 0x10n, ...values } as Registers;
};
/** Words of saved registers at an offset of the stack. */
const saved = (offset: number, values: Partial<Registers>): Record<number, bigint> => {
  const all = registers(values);
  return Object.fromEntries(registerNames.map((name, i) => [offset + i * 8, all[name]!]));
};
const namesOf = ({ frames }: Backtrace): string[] =>
  frames.map(({ place, kind, user }) => `${user ? 'user' : place?.symbol.name} ${kind}`);

describe('by tables', () => {
  test('calls, an interrupt and the end', () => {
    const slots = {
      256: at('outer', 5),
      296: at('asm_sysvec_timer', 9),
      ...saved(0x130, { rip: at('worker', 7), rsp: stackStart + 0x400n, rbx: 5n }),
    };
    const trace = followStack(
      unwinder(slots, {
        inner: orcEntry('call', 8),
        outer: orcEntry('call', 0x28),
        asm_sysvec_timer: orcEntry('registers'),
        worker: orcEntry('end'),
      }),
      stateOfRegisters(registers({ rip: at('inner', 3), rsp: stackStart + 0x100n })),
    );
    expect(namesOf(trace)).toEqual([
      'inner exception',
      'outer call',
      'asm_sysvec_timer call',
      'worker interrupt',
    ]);
    expect(trace.stop).toEqual({ reason: 'end' });
    expect(trace.frames.map(({ slot }) => slot)).toEqual([
      undefined,
      stackStart + 0x100n,
      stackStart + 0x128n,
      undefined,
    ]);
    expect(trace.frames[3]).toMatchObject({ ip: at('worker', 7), registers: { rbx: 5n } });
    expect(trace.frames.every(({ certain }) => certain)).toBe(true);
  });

  test('a return address behind the last instruction of a function that never returns is of that function', () => {
    const trace = followStack(
      unwinder({ 256: at('worker') }, { inner: orcEntry('call', 8), asm_sysvec_timer: orcEntry('end') }),
      stateOfRegisters(registers({ rip: at('inner', 3), rsp: stackStart + 0x100n })),
    );
    expect(trace.frames[1]!.place).toMatchObject({ symbol: { name: 'asm_sysvec_timer' }, offset: 256 });
    expect(trace.stop.reason).toBe('end');
  });

  test('user mode is the last frame', () => {
    const slots = saved(0x100, { rip: 0x40_0000n, cs: 0x33n, rsp: 0x7fff_0000n, orig_rax: 1n });
    const trace = followStack(
      unwinder(slots, { asm_sysvec_timer: orcEntry('registers') }),
      stateOfSlot(stackStart + 0xf8n, at('asm_sysvec_timer', 9), undefined),
    );
    expect(namesOf(trace)).toEqual(['asm_sysvec_timer call', 'user interrupt']);
    expect(trace.stop).toEqual({ reason: 'user' });
  });

  test('a call through a NULL pointer', () => {
    const trace = followStack(
      unwinder({ 256: at('outer', 5) }, { outer: orcEntry('end') }),
      stateOfRegisters(registers({ rip: 0n, rsp: stackStart + 0x100n })),
    );
    expect(namesOf(trace)).toEqual(['undefined exception', 'outer call']);
  });

  test('a function that no table describes: who called it, and the frame pointer that it saved', () => {
    const back = at('panic', 0x20);
    const distance = Buffer.alloc(4);
    distance.writeInt32LE(Number(at('__crash_kexec') - back));
    const slots = {
      // A stale return address of another call, then the right one.
      264: at('outer', 5),
      328: stackStart + 0x300n,
      336: back,
      776: at('worker', 5),
    };
    const core = unwinder(
      slots,
      {
        __crash_kexec: orcEntry('undefined'),
        panic: orcEntry('call', 16, { sp: 'bp' }),
        worker: orcEntry('end'),
      },
      [
        [at('__crash_kexec'), [0x66, 0x66, 0x66, 0x66, 0x90, 0x55, 0x53]],
        [at('panic', 0x1b), [0xe8, ...distance]],
      ],
    );
    const trace = followStack(core, stateOfSlot(stackStart + 0x100n, at('__crash_kexec', 9), 0x666n));
    expect(namesOf(trace)).toEqual(['__crash_kexec call', 'panic call', 'worker call']);
    expect(trace.frames[1]!.slot).toBe(stackStart + 0x150n);
    expect(trace.frames[2]!.slot).toBe(stackStart + 0x308n);
  });

  test('why it stops: no code, a register that is lost, a stack that is not there, a circle', () => {
    const start = stateOfSlot(stackStart + 0xf8n, at('outer', 5), undefined);
    const stop = (slots: Record<number, bigint>, entry: OrcEntry) =>
      followStack(unwinder(slots, { outer: entry }), start).stop;
    expect(stop({ 256: 0x1234n }, orcEntry('call', 8))).toEqual({ reason: 'no-code', ip: 0x1234n });
    expect(stop({}, orcEntry('call', 8, { sp: 'bp' }))).toMatchObject({
      reason: 'lost-register',
      register: 'rbp',
    });
    expect(stop({}, orcEntry('call', 8, { sp: 'r10' }))).toMatchObject({
      reason: 'lost-register',
      register: 'r10',
    });
    expect(stop({}, orcEntry('call', 0x7000))).toMatchObject({
      reason: 'missing',
      missing: { missing: 'unmapped' },
    });
    expect(stop({ 248: at('outer', 5) }, orcEntry('call', 0))).toEqual({ reason: 'loop' });
    expect(stop({}, orcEntry('undefined'))).toEqual({ reason: 'unknown-code', ip: at('outer', 5) });
  });
});

describe('by frame pointers', () => {
  const prologue = [0x0f, 0x1f, 0x44, 0, 0, 0x55, 0x48, 0x89, 0xe5];
  const code = [
    [at('inner'), prologue],
    [at('outer'), prologue],
  ] as const;

  test('frames, saved registers, and a thread that nothing called', () => {
    const slots = {
      256: stackStart + 0x140n,
      264: at('outer', 0x40),
      320: stackStart + 0x201n,
      328: at('asm_sysvec_timer', 9),
      ...saved(0x200, { rip: at('worker', 7), rsp: stackStart + 0x400n, rbp: stackStart + 0x501n }),
      ...saved(0x500, { cs: 0n }),
    };
    const trace = followStack(
      unwinder(slots, undefined, code),
      stateOfRegisters(
        registers({ rip: at('inner', 0x30), rsp: stackStart + 0xc0n, rbp: stackStart + 0x100n }),
      ),
    );
    expect(namesOf(trace)).toEqual([
      'inner exception',
      'outer call',
      'asm_sysvec_timer call',
      'worker interrupt',
    ]);
    expect(trace.stop).toEqual({ reason: 'end' });
  });

  test.each([
    ['before it saved the frame pointer', 5, 0x100],
    ['before it has a frame of its own', 6, 0xf8],
  ])('a function that was interrupted %s', (_, offset, sp) => {
    const slots = { 256: at('outer', 0x40), 512: 0n, 520: at('worker', 5) };
    const trace = followStack(
      unwinder(slots, undefined, code),
      stateOfRegisters(
        registers({ rip: at('inner', offset), rsp: stackStart + BigInt(sp), rbp: stackStart + 0x200n }),
      ),
    );
    expect(namesOf(trace)).toEqual(['inner exception', 'outer call', 'worker call']);
    expect(trace.stop).toEqual({ reason: 'end' });
  });

  test('a system call: the registers lie at the end of the stack', () => {
    const base = 4096 - registerNames.length * 8;
    const slots = {
      256: 0n,
      [base - 8]: at('worker', 5),
      ...saved(base, { rip: 0x40_0000n, cs: 0x33n }),
    };
    const trace = followStack(
      unwinder(slots, undefined, code),
      stateOfSlot(stackStart + BigInt(base - 8), at('worker', 5), 0n),
    );
    expect(namesOf(trace)).toEqual(['worker call', 'user exception']);
    expect(trace.stop).toEqual({ reason: 'user' });
  });

  test('a frame pointer that leads off the stack', () => {
    const start = stateOfSlot(stackStart + 0xf8n, at('outer', 0x40), 0x1000n);
    expect(followStack(unwinder({}, undefined, code), start).stop).toMatchObject({ reason: 'lost-register' });
  });
});
