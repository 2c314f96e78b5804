import type { Assembler } from './assembler.ts';
import { regionLayout } from './data.ts';
import {
  at,
  eax,
  ebp,
  ecx,
  edx,
  esi,
  of,
  r12,
  r13,
  r14,
  r14d,
  r15,
  r15d,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
} from './operands.ts';
import { emitRestore, emitSave } from './sha256-blocks.ts';

/**
 * void sha256_regions(const struct region *regions, uint32_t count, uint8_t digest[32]): of all regions one behind the
 * other, each of any length. Whole blocks are read where they lie; what is left over is gathered on the stack.
 */
export function emitSha256Regions(a: Assembler): void {
  const state = at(rsp, 64);
  const [region, left, address, length, gathered, total] = [rbx, ebp, r12, r13, r14, r15];
  /** The gathered block. */
  const compress = () => {
    a.lea(rdi, state);
    a.mov(rsi, rsp);
    a.mov(edx, 1);
    a.call('sha256_blocks');
  };
  a.label('sha256_regions');
  emitSave(a);
  a.push(rdx);
  a.sub(rsp, 64 + 32);
  a.mov(region, rdi);
  a.mov(left, esi);
  a.xor(r14d, r14d);
  a.xor(r15d, r15d);
  a.lea(rsi, of('initialState'));
  a.lea(rdi, state);
  a.mov(ecx, 32);
  a.repMovsb();

  a.label('sha256_region');
  a.test(left, left);
  a.je('sha256_end');
  a.dec(left);
  a.mov(address, at(region, regionLayout.fields.start[0]));
  a.mov(length, at(region, regionLayout.fields.length[0]));
  a.add(region, regionLayout.size);
  a.add(total, length);

  a.label('sha256_more');
  a.test(length, length);
  a.je('sha256_region');
  a.test(gathered, gathered);
  a.jne('sha256_gather');
  a.mov(rdx, length);
  a.shr(rdx, 6);
  a.je('sha256_gather');
  a.lea(rdi, state);
  a.mov(rsi, address);
  a.call('sha256_blocks');
  a.mov(address, rsi);
  a.and(length, 63);
  a.jmp('sha256_more');

  a.label('sha256_gather');
  a.mov(ecx, 64);
  a.sub(rcx, gathered);
  a.cmp(rcx, length);
  a.jbe('sha256_copy');
  a.mov(rcx, length);
  a.label('sha256_copy');
  a.mov(rdi, rsp);
  a.add(rdi, gathered);
  a.mov(rsi, address);
  a.add(address, rcx);
  a.add(gathered, rcx);
  a.sub(length, rcx);
  a.repMovsb();
  a.cmp(gathered, 64);
  a.jne('sha256_more');
  compress();
  a.xor(r14d, r14d);
  a.jmp('sha256_more');

  // One bit, zeros, and in the last 8 bytes of a block the number of bits, highest byte first.
  a.label('sha256_end');
  a.mov(rdi, rsp);
  a.add(rdi, gathered);
  a.mov(eax, 0x80);
  a.stosb();
  a.mov(ecx, 63);
  a.sub(rcx, gathered);
  a.xor(eax, eax);
  a.repStosb();
  a.cmp(gathered, 56);
  a.jb('sha256_length');
  compress();
  a.mov(rdi, rsp);
  a.mov(ecx, 56);
  a.xor(eax, eax);
  a.repStosb();
  a.label('sha256_length');
  a.shl(total, 3);
  a.bswap(total);
  a.mov(at(rsp, 56), total);
  compress();

  a.mov(rdx, at(rsp, 64 + 32));
  for (let i = 0; i < 8; i++) {
    a.mov(eax, at(rsp, 64 + 4 * i));
    a.bswap(eax);
    a.mov(at(rdx, 4 * i), eax);
  }
  a.add(rsp, 64 + 32 + 8);
  emitRestore(a);
  a.ret();
}
