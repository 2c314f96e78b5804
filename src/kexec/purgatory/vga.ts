import type { Assembler } from './assembler.ts';
import { option } from './data.ts';
import { at, eax, ecx, edi, edx, of, rsi } from './operands.ts';

/** Text on VGA's screen. Facts: IBM's VGA technical reference; drivers/video/console/vgacon.c shows the registers in use. */

const screen = { address: 0xb8000, columns: 80, rows: 25, attribute: 0x07 };
/** Characters that fit the screen's 32 KiB, through which the visible part moves. */
const screenCells = 0x4000;
const crtc = { index: 0x3d4, startHigh: 0x0c, startLow: 0x0d };

/** Finds out which part of its memory the screen shows: the kernel moves it when it scrolls. */
export function emitPrepareVga(a: Assembler): void {
  a.label('prepare_vga');
  a.mov(ecx, option('vga'));
  a.test(ecx, ecx);
  a.je('vga_prepared');
  const readCrtc = (register: number) => {
    a.mov(edx, crtc.index);
    a.mov(eax, register);
    a.outAl();
    a.inc(edx);
    a.inAl();
  };
  readCrtc(crtc.startHigh);
  a.mov(ecx, eax);
  a.shl(ecx, 8);
  readCrtc(crtc.startLow);
  a.or(ecx, eax);
  a.mov(option('vga_origin'), ecx);
  a.label('vga_prepared');
  a.ret();
}

/** put_vga(eax: character). The end of a line is blanked, so that what stood there is no part of the message. */
export function emitPutVga(a: Assembler): void {
  const newline = 10;
  /** ecx + 1, or 0 when that is `limit`. */
  const count = (variable: 'vga_cell' | 'vga_column', limit: number) => {
    a.mov(ecx, option(variable));
    a.inc(ecx);
    a.cmp(ecx, limit);
    a.jb(`${variable}_counted`);
    a.xor(ecx, ecx);
    a.label(`${variable}_counted`);
    a.mov(option(variable), ecx);
  };
  a.label('put_vga');
  a.mov(ecx, option('vga'));
  a.test(ecx, ecx);
  a.je('put_vga_done');
  a.cmp(eax, newline);
  a.jne('put_cell');
  a.label('blank_line');
  a.mov(eax, 0x20);
  a.call('put_cell');
  // The column that put_cell has just counted.
  a.test(ecx, ecx);
  a.jne('blank_line');
  a.label('put_vga_done');
  a.ret();

  a.label('put_cell');
  a.mov(edi, option('vga_origin'));
  a.add(edi, option('vga_cell'));
  a.and(edi, screenCells - 1);
  a.add(edi, edi);
  a.add(edi, screen.address);
  a.stosb();
  a.mov(eax, screen.attribute);
  a.stosb();
  count('vga_cell', screen.columns * screen.rows);
  count('vga_column', screen.columns);
  a.ret();
}

/**
 * Registers of VGA for 80 by 25 characters (mode 3), as its BIOS sets them: writes to ports from 0x3c0 on, each the
 * port less 0x3c0 and the byte. Every VGA BIOS has this table.
 */
const textMode: readonly (readonly [port: number, value: number])[] = [
  // Sequencer: in reset, its registers, running
  ...indexed(0x04, 0x05, [0x01, 0x00, 0x03, 0x00, 0x02]),
  [0x02, 0x67],
  ...indexed(0x04, 0x05, [0x03]),
  // CRT controller: register 0x11 write-protects the first eight
  ...([
    [0x14, 0x11],
    [0x15, 0x0e],
  ] as const),
  ...indexed(
    0x14,
    0x15,
    [
      0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c,
      0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
    ],
  ),
  // Graphics controller
  ...indexed(0x0e, 0x0f, [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff]),
  // Attribute controller: one port for index and value; then its palette is shown again
  ...indexed(
    0x00,
    0x00,
    [
      0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c,
      0x00, 0x0f, 0x08, 0x00,
    ],
  ),
  [0x00, 0x20],
];

function indexed(indexPort: number, dataPort: number, values: readonly number[]): [number, number][] {
  return values.flatMap((value, index) => [
    [indexPort, index],
    [dataPort, value],
  ]);
}

/** Back to a text screen, whose characters' shapes are expected to be in VGA's memory still; and clears it. */
export function emitResetVga(a: Assembler): void {
  a.label('reset_vga');
  // Reading this port makes the attribute controller take an index next.
  a.mov(edx, 0x3da);
  a.inAl();
  a.lea(rsi, of('text_mode'));
  a.mov(ecx, textMode.length);
  a.label('set_vga');
  a.movzx(edx, at(rsi));
  a.add(edx, 0x3c0);
  a.movzx(eax, at(rsi, 1));
  a.outAl();
  a.add(rsi, 2);
  a.dec(ecx);
  a.jne('set_vga');
  a.mov(edi, screen.address);
  a.mov(eax, 0x0720_0720);
  a.mov(ecx, screenCells / 2);
  a.repStosd();
  a.ret();
}

export function emitTextMode(a: Assembler): void {
  a.label('text_mode');
  a.data(textMode.flat());
}
