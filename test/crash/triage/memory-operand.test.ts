import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { faultingOperand } from '../../../src/crash/triage/memory-operand.ts';
import { registers } from './frames.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.padEnd(30, '90'), 'hex'));

describe('the operand of an instruction that faulted', () => {
  test.each([
    ['48c780e800000001000000', { rax: 0n }, 0xe8n, 'rax+0xe8'],
    ['488b90e8000000', { rax: 0x1000n }, 0x10e8n, 'rax+0xe8'],
    ['488b00', { rax: 0n }, 0n, 'rax'],
    ['48895108', { rcx: 0xffff_ffff_c04c_b400n }, 0xffff_ffff_c04c_b408n, 'rcx+0x8'],
    ['488b43f0', { rbx: 0x20n }, 0x10n, 'rbx-0x10'],
    ['498b0424', { r12: 0x10n }, 0x10n, 'r12'],
    ['488b04cb', { rbx: 0x1000n, rcx: 2n }, 0x1010n, 'rbx+rcx*8'],
    ['4a8b04fd00100000', { r15: 2n }, 0x1010n, 'r15*8+0x1000'],
    ['0fb64001', { rax: 0n }, 1n, 'rax+0x1'],
    ['f0480fc11f', { rdi: 8n }, 8n, 'rdi'],
    ['660f38f64808', { rax: 0n }, 8n, 'rax+0x8'],
  ])('%s', (code, values, address, text) => {
    expect(faultingOperand(bytes(code), registers(values), address)?.text).toBe(text);
  });

  test('counts only when it gives the address', () => {
    const code = bytes('48c780e800000001000000');
    expect(faultingOperand(code, registers({ rax: 0n }), 0xe9n)?.text).toBe('rax+0xe8');
    expect(faultingOperand(code, registers({ rax: 0n }), 0xe0n)).toBeUndefined();
    expect(faultingOperand(code, registers({ rax: 0x1000n }), 0xe8n)).toBeUndefined();
    expect(faultingOperand(code, registers(), 0xe8n)).toBeUndefined();
  });

  test('there is none between registers, or relative to the instruction, or in half an instruction', () => {
    expect(faultingOperand(bytes('4889c8'), registers({ rax: 0n }), 0n)).toBeUndefined();
    expect(faultingOperand(bytes('488b0510000000'), registers({ rbp: 0n }), 0x10n)).toBeUndefined();
    expect(faultingOperand(Uint8Array.of(0x48), registers(), 0n)).toBeUndefined();
  });

  test('no bytes are too odd', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 15 }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (code, rax) => {
          const operand = faultingOperand(code, registers({ rax, rbx: rax, rcx: 1n }), rax);
          expect(operand === undefined || typeof operand.text === 'string').toBe(true);
        },
      ),
    );
  });
});
