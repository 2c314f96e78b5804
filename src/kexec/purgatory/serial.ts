import type { Assembler } from './assembler.ts';
import { option } from './data.ts';
import { eax, ecx, edx, rax } from './operands.ts';

/**
 * Text on an 8250 UART by polling. Facts: PC16550D data sheet; arch/x86/boot/early_serial_console.c shows the registers
 * in use.
 */

/** Registers of a UART, from its first port on. */
const uart = {
  data: 0,
  divisorLow: 0,
  interruptEnable: 1,
  divisorHigh: 1,
  fifo: 2,
  line: 3,
  modem: 4,
  status: 5,
};
const divisorLatch = 0x80;
const eightBitsNoParity = 0x03;
const terminalReady = 0x03;
const holdingRegisterEmpty = 0x20;
/**
 * Looks at the status before a port is given up. One takes about a microsecond; the slowest line, 1200 bits a second,
 * takes 8 milliseconds for a character.
 */
const looks = 0x10000;

/** Sets the UART's speed, 8 bits without parity and no interrupts, where a speed is asked for. */
export function emitPrepareSerial(a: Assembler): void {
  const outUart = (register: number, value: number) => {
    a.mov(edx, option('serial_port'));
    if (register !== 0) a.add(edx, register);
    a.mov(eax, value);
    a.outAl();
  };
  a.label('prepare_serial');
  a.mov(ecx, option('serial_divisor'));
  a.test(ecx, ecx);
  a.je('serial_prepared');
  outUart(uart.interruptEnable, 0);
  outUart(uart.fifo, 0);
  outUart(uart.modem, terminalReady);
  outUart(uart.line, divisorLatch | eightBitsNoParity);
  a.mov(edx, option('serial_port'));
  a.mov(eax, ecx);
  a.outAl();
  a.inc(edx);
  a.shr(eax, 8);
  a.outAl();
  outUart(uart.line, eightBitsNoParity);
  a.label('serial_prepared');
  a.ret();
}

/** put_serial(eax: character), which it keeps. A port that never takes one is given up: `serial` becomes 0. */
export function emitPutSerial(a: Assembler): void {
  const newline = 10;
  const carriageReturn = 13;
  a.label('put_serial');
  a.cmp(eax, newline);
  a.jne('send_serial');
  a.push(rax);
  a.mov(eax, carriageReturn);
  a.call('send_serial');
  a.pop(rax);

  a.label('send_serial');
  a.mov(ecx, option('serial'));
  a.test(ecx, ecx);
  a.je('sent');
  a.push(rax);
  a.mov(edx, option('serial_port'));
  a.add(edx, uart.status);
  a.mov(ecx, looks);
  a.label('wait_serial');
  a.inAl();
  a.and(eax, holdingRegisterEmpty);
  a.jne('serial_ready');
  a.dec(ecx);
  a.jne('wait_serial');
  a.mov(option('serial'), ecx);
  a.label('serial_ready');
  a.pop(rax);
  a.sub(edx, uart.status);
  a.outAl();
  a.label('sent');
  a.ret();
}
