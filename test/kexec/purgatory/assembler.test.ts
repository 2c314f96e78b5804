import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Assembler } from '../../../src/kexec/purgatory/assembler.ts';
import { at, eax, of, rax, rsi } from '../../../src/kexec/purgatory/operands.ts';
import { encodings } from './encodings.ts';

function assembled(emit: (a: Assembler) => void): string {
  const a = new Assembler();
  emit(a);
  return Buffer.from(a.assemble().bytes).toString('hex');
}

test.each(encodings)('%s', (_text, emit, bytes) => {
  expect(assembled(emit)).toBe(bytes.replaceAll(' ', ''));
});

test('what an instruction relates to a label is counted from its end', () => {
  const emit = (a: Assembler) => {
    a.label('before');
    a.lea(rsi, of('before'));
    a.mov(eax, of('behind', 4));
    a.call('behind');
    a.lgdt(of('behind'));
    a.label('behind');
    a.jmp('before');
    a.je('behind');
  };
  expect(assembled(emit)).toBe(
    [
      '488d35f9ffffff', // lea rsi,[rip-7]
      '8b0510000000', // mov eax,[rip+0x10]
      'e807000000', // call +7
      '0f011500000000', // lgdt [rip+0]
      'ebe5', // jmp -27
      '74fc', // je -4
    ].join(''),
  );
});

test('jumps are as short as they can be, and reach where they should', () => {
  const filler = fc.integer({ min: 0, max: 300 });
  const jump = fc.record({ filler, target: fc.nat(), conditional: fc.boolean() });
  fc.assert(
    fc.property(fc.array(jump, { minLength: 1, maxLength: 12 }), (jumps) => {
      const a = new Assembler();
      for (const [i, { filler, target, conditional }] of jumps.entries()) {
        a.label(`${i}`);
        a.data(new Uint8Array(filler));
        a.label(`jump ${i}`);
        if (conditional) a.jb(`${target % jumps.length}`);
        else a.jmp(`${target % jumps.length}`);
      }
      const { bytes, labels } = a.assemble();
      const view = new DataView(bytes.buffer);
      for (const [i, { target, conditional }] of jumps.entries()) {
        const start = labels.get(`jump ${i}`)!;
        const to = labels.get(`${target % jumps.length}`)!;
        const short = bytes[start] === (conditional ? 0x72 : 0xeb);
        const opcodeEnd = start + (!short && conditional ? 2 : 1);
        if (!short)
          expect([...bytes.subarray(start, opcodeEnd)]).toEqual(conditional ? [0x0f, 0x82] : [0xe9]);
        const end = opcodeEnd + (short ? 1 : 4);
        expect(end + (short ? view.getInt8(opcodeEnd) : view.getInt32(opcodeEnd, true))).toBe(to);
        const shortDistance = to - (start + 2);
        // A jump forward is long when its target was too far once the jumps between had grown; none is long in vain.
        if (!short) expect(shortDistance < -128 || to - end > 127 - 3).toBe(true);
      }
    }),
  );
});

test('data is aligned with zeros', () => {
  const a = new Assembler();
  a.cli();
  a.align(8);
  a.label('data');
  a.align(8);
  a.data([1, 2]);
  const { bytes, labels } = a.assemble();
  expect([...bytes]).toEqual([0xfa, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
  expect(labels.get('data')).toBe(8);
});

test.each<[string, (a: Assembler) => void, RegExp]>([
  ['a label that is not there', (a) => a.jmp('nowhere'), /label nowhere is not there/],
  ['a memory operand of it', (a) => a.lea(rax, of('nowhere')), /label nowhere is not there/],
  ['a label that is there twice', (a) => [0, 1].map(() => a.label('here')), /label here is there twice/],
  ['a constant to 64 bits', (a) => a.mov(rax, 1), /32-bit register/],
  ['a constant that would be extended with its sign', (a) => a.and(rax, 0xffff_ffff), /sign/],
  ['a constant of more than 32 bits', (a) => a.mov(eax, 2 ** 32), /does not fit 4 bytes/],
  ['a constant and memory', (a) => a.cmp(at(rsi), 1), /constant/],
  ['memory to memory', (a) => a.mov(at(rsi), of('x')), /register/],
])('refuses %s', (_what, emit, message) => {
  expect(() => assembled(emit)).toThrow(message);
});
