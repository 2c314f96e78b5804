import type { Assembler } from './assembler.ts';
import { at, eax, ecx, edx, rsi } from './operands.ts';

/** print(rsi: text that ends with a NUL): on every console in use. Lines are shorter than the screen is wide. */
export function emitPrint(a: Assembler): void {
  a.label('print');
  a.movzx(eax, at(rsi));
  a.inc(rsi);
  a.test(eax, eax);
  a.je('printed');
  a.call('put_serial');
  a.call('put_vga');
  a.jmp('print');
  a.label('printed');
  a.ret();
}

/** write_hex(rdi: text, rsi: bytes, ecx: how many, at least 1); returns with rdi behind the text. */
export function emitWriteHex(a: Assembler): void {
  a.label('write_hex');
  a.movzx(edx, at(rsi));
  a.inc(rsi);
  a.mov(eax, edx);
  a.shr(eax, 4);
  a.call('write_digit');
  a.mov(eax, edx);
  a.and(eax, 15);
  a.call('write_digit');
  a.dec(ecx);
  a.jne('write_hex');
  a.ret();

  a.label('write_digit');
  a.add(eax, 0x30);
  a.cmp(eax, 0x3a);
  a.jb('digit');
  // From behind "9" to "a".
  a.add(eax, 0x27);
  a.label('digit');
  a.stosb();
  a.ret();
}
