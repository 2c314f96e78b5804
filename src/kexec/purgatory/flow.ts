import type { Assembler } from './assembler.ts';
import { digestBytes, entryRegister, option } from './data.ts';
import {
  at,
  eax,
  ecx,
  edx,
  esi,
  of,
  r8,
  r9,
  r10,
  r11,
  r12,
  r12d,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
  type SegmentRegister,
} from './operands.ts';

/** Selectors of the x86 boot protocol's 64-bit entry: flat code and flat data. */
const codeSelector = 0x10;
const dataSelector = 0x18;
/** Descriptors as arch/x86/include/asm/segment.h explains them: present, accessed, 4 GiB; code is 64-bit. */
const descriptors = [0n, 0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn];

const jumpBackParameter = ' kexec_jump_back_entry=0x';

/**
 * The first instruction and the way to the kernel's. relocate_kernel enters in 64-bit mode with interrupts off and
 * memory mapped at its own addresses, and promises nothing else but a stack: with KEXEC_PRESERVE_CONTEXT the address to
 * return to is on it.
 */
export function emitStart(a: Assembler, stackTop: number): void {
  a.label('start');
  a.cli();
  a.cld();
  a.mov(rdi, option('command_line_end'));
  a.xor(r12d, r12d);
  a.test(rdi, rdi);
  a.je('own_stack');
  a.mov(r12, at(rsp));
  a.label('own_stack');
  a.lea(rsp, of('start', stackTop));

  a.lea(rax, of('gdt'));
  a.mov(of('gdt_pointer', 2), rax);
  a.lgdt(of('gdt_pointer'));
  a.mov(eax, dataSelector);
  for (const segment of ['ds', 'es', 'ss', 'fs', 'gs'] satisfies SegmentRegister[])
    a.movSegment(segment, eax);
  a.push(codeSelector);
  a.lea(rax, of('own_segments'));
  a.push(rax);
  a.retf();
  a.label('own_segments');

  a.mov(eax, option('reset_vga'));
  a.test(eax, eax);
  a.je('consoles');
  a.call('reset_vga');
  a.label('consoles');
  a.call('prepare_serial');
  a.call('prepare_vga');
  a.mov(eax, option('verbose'));
  a.test(eax, eax);
  a.je('check');
  a.lea(rsi, of('greeting'));
  a.call('print');

  a.label('check');
  a.mov(eax, option('check'));
  a.test(eax, eax);
  a.je('checked');
  a.call('verify');
  a.test(eax, eax);
  a.je('refuse');
  a.label('checked');

  // The crash kernel is about to use memory that belongs into the dump.
  a.mov(rsi, option('backup_source'));
  a.mov(rdi, option('backup_destination'));
  a.mov(rcx, option('backup_size'));
  a.repMovsb();

  a.test(r12, r12);
  a.je('enter_kernel');
  a.mov(rdi, option('command_line_end'));
  a.lea(rsi, of('jump_back'));
  a.mov(ecx, jumpBackParameter.length);
  a.repMovsb();
  a.bswap(r12);
  a.push(r12);
  a.mov(rsi, rsp);
  a.mov(ecx, 8);
  a.call('write_hex');
  a.xor(eax, eax);
  a.stosb();

  a.label('enter_kernel');
  a.lea(rsp, of('start', stackTop));
  a.mov(rax, entryRegister('rsp'));
  a.test(rax, rax);
  a.je('load_registers');
  a.mov(rsp, rax);
  a.label('load_registers');
  const registers = { rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15 };
  for (const [name, register] of Object.entries(registers) as [keyof typeof registers, typeof rax][])
    a.mov(register, entryRegister(name));
  a.jmpTo(entryRegister('rip'));
}

/** uint32_t verify(void): 1 when the digest of the regions is the expected one; leaves it in `found`. */
export function emitVerify(a: Assembler): void {
  a.label('verify');
  a.lea(rdi, of('regions'));
  a.mov(esi, option('region_count'));
  a.lea(rdx, of('found'));
  a.call('sha256_regions');
  a.lea(rsi, of('expected'));
  a.lea(rdi, of('found'));
  a.mov(ecx, digestBytes);
  a.repeCmpsb();
  // mov leaves the flags alone.
  a.mov(eax, 0);
  a.jne('verified');
  a.inc(eax);
  a.label('verified');
  a.ret();
}

/**
 * The segments are not what was loaded: a kernel that starts from them could do anything to the disks that the dump goes
 * to. Says so, leaves time to read it, and resets the machine, by one way after the other: the chipset's reset register,
 * the keyboard controller, an exception that has no handler.
 */
export function emitRefuse(a: Assembler): void {
  a.label('refuse');
  a.mov(eax, 1);
  a.mov(option('serial'), eax);
  a.lea(rdi, of('found_text'));
  a.lea(rsi, of('found'));
  a.mov(ecx, digestBytes);
  a.call('write_hex');
  a.lea(rsi, of('refusal'));
  a.call('print');

  // 2^34 cycles of the time stamp counter: 4 to 8 seconds on most machines. Counted, too, should it stand still.
  a.call('cycles');
  a.mov(rdi, rax);
  a.mov(ecx, 2 ** 30);
  a.label('linger');
  a.pause();
  a.call('cycles');
  a.sub(rax, rdi);
  a.shr(rax, 34);
  a.jne('reset');
  a.dec(ecx);
  a.jne('linger');

  a.label('reset');
  const out = (port: number, value: number) => {
    a.mov(edx, port);
    a.mov(eax, value);
    a.outAl();
  };
  // Reset control register of Intel's and AMD's chipsets: what kind of reset, then the reset itself.
  out(0xcf9, 0x02);
  out(0xcf9, 0x06);
  out(0x64, 0xfe);
  a.lidt(of('no_idt'));
  a.int3();

  // uint64_t cycles(void); clobbers rdx.
  a.label('cycles');
  a.rdtsc();
  a.shl(rdx, 32);
  a.or(rax, rdx);
  a.ret();
}

const text = (line: string): Uint8Array => Buffer.from(line, 'latin1');
const hexDigits = '.'.repeat(2 * digestBytes);

/** Descriptor tables and texts. Texts end with a NUL; the digests are written into the refusal. */
export function emitFlowData(a: Assembler): void {
  a.align(16);
  a.label('gdt');
  a.data(new Uint8Array(BigUint64Array.from(descriptors).buffer));
  a.label('gdt_pointer');
  a.data([8 * descriptors.length - 1, ...new Uint8Array(9)]);
  a.label('no_idt');
  a.data(new Uint8Array(10));
  a.label('greeting');
  a.data(text("I'm in purgatory\n\0"));
  a.label('jump_back');
  a.data(text(jumpBackParameter));
  a.label('refusal');
  a.data(text('purgatory: loaded segments have changed (SHA-256); the kernel is not started\n  expected: '));
  a.label('expected_text');
  a.data(text(`${hexDigits}\n  found:    `));
  a.label('found_text');
  a.data(text(`${hexDigits}\nThe machine is reset in a few seconds.\n\0`));
}
