// The purgatory's machine code, as objdump reads it, and run whole on a machine of its own, without any kernel.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Assembler } from '../../src/kexec/purgatory/assembler.ts';
import { eax, edx, of } from '../../src/kexec/purgatory/operands.ts';
import {
  buildPurgatory,
  type PurgatoryOptions,
  purgatoryCode,
  purgatorySize,
} from '../../src/kexec/purgatory/purgatory.ts';
import { instructionsOf, listingOf } from '../helpers/disassembly.ts';
import { encodings } from '../kexec/purgatory/encodings.ts';
import { multibootImage } from './lab/multiboot.ts';
import { check } from './lab/process.ts';
import { type Machine, startMachine } from './lab/qemu.ts';

const golden = fileURLToPath(new URL('../fixtures/purgatory.golden', import.meta.url));
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-purgatory-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function disassembled(code: Uint8Array) {
  const file = join(directory, 'code');
  writeFileSync(file, code);
  const options = ['-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', '--wide'];
  return instructionsOf(await check('objdump', [...options, file]));
}

test('objdump reads in the code what the golden says', async () => {
  const { bytes, codeBytes } = purgatoryCode();
  await expect(listingOf(await disassembled(bytes.subarray(0, codeBytes)))).toMatchFileSnapshot(golden);
});

test('objdump reads every encoding as what was meant', async () => {
  const a = new Assembler();
  for (const [, emit] of encodings) emit(a);
  const read = await disassembled(a.assemble().bytes);
  expect(read.map(({ text }) => text)).toEqual(encodings.map(([text]) => text));
});

// Where things are on the machine; any page will do for the purgatory.
const at = {
  purgatory: 0x11_0000,
  graphics: 0x11_8000,
  kernel: 0x12_0000,
  data: 0x13_0000,
  commandLine: 0x14_0000,
  backup: 0x15_0000,
};
const returnAddress = 0x1234_5678_9abcn;
const commandLine = 'root=/dev/vda quiet';
const data = Buffer.from(Array.from({ length: 5000 }, (_, i) => i * 7));

/** hlt, and again should anything wake it. */
const kernel = Buffer.alloc(4096);
kernel.set([0xf4, 0xeb, 0xfd]);

/** Of what is checked, in hex. */
const digestOf = (first: Buffer): string => createHash('sha256').update(first).update(kernel).digest('hex');

/** Takes VGA's memory away from 0xb8000, as graphics do, and goes on to `next`. */
function toGraphics(next: number): Uint8Array {
  const a = new Assembler();
  a.mov(edx, 0x3ce);
  a.mov(eax, 6);
  a.outAl();
  a.inc(edx);
  a.mov(eax, 5);
  a.outAl();
  a.jmpTo(of('next'));
  a.label('next');
  a.data(new Uint8Array(BigUint64Array.of(BigInt(next)).buffer));
  return a.assemble().bytes;
}

/**
 * Starts a machine on the purgatory; the kernel stands still at its first instruction.
 * @param changed byte of the data that is not what it was, or null
 */
async function start(
  options: Partial<PurgatoryOptions>,
  changed: number | null,
  graphics = false,
): Promise<Machine> {
  const { bytes, entry } = buildPurgatory({
    registers: { rip: at.kernel, rsi: 0x1111 },
    check: {
      regions: [
        { start: at.data, length: data.length },
        { start: at.kernel, length: 4096 },
      ],
      digest: Buffer.from(digestOf(data), 'hex'),
    },
    backup: null,
    console: { resetVga: false, vga: true, serial: { port: 0x3f8, baud: null }, verbose: true },
    jumpBack: null,
    ...options,
  });
  const loaded = Buffer.from(data);
  if (changed !== null) loaded[changed]! ^= 1;
  const stack = Buffer.alloc(8);
  stack.writeBigUInt64LE(returnAddress);
  const file = join(directory, 'image');
  writeFileSync(
    file,
    multibootImage(graphics ? at.graphics : at.purgatory + entry, at.purgatory - 8, [
      { address: at.purgatory - 8, bytes: stack },
      { address: at.purgatory, bytes },
      // kexec_load fills a segment with zeros; here there is something else, which must not matter.
      { address: at.purgatory + bytes.length, bytes: Buffer.alloc(purgatorySize - bytes.length, 0xee) },
      { address: at.graphics, bytes: toGraphics(at.purgatory + entry) },
      { address: at.kernel, bytes: kernel },
      { address: at.data, bytes: loaded },
      { address: at.commandLine, bytes: Buffer.from(`${commandLine}\0${'#'.repeat(64)}`) },
      { address: at.backup, bytes: Buffer.alloc(0x2000, 0xee) },
    ]),
  );
  const machine = { kernel: file, initrd: file, append: '', memory: 64, disks: [], cpus: 1 };
  return startMachine({ ...machine, vga: true, deadline: 120 });
}

const monitor = async (machine: Machine, line: string): Promise<string> =>
  (await machine.qmp.execute('human-monitor-command', { 'command-line': line })) as string;

async function memory(machine: Machine, address: number, size: number): Promise<Buffer> {
  const file = join(directory, 'memory');
  await machine.qmp.execute('pmemsave', { val: address, size, filename: file });
  return readFileSync(file);
}

/** The registers, once the kernel has been entered. */
async function entered(machine: Machine): Promise<string> {
  for (let look = 0; look < 300; look++) {
    const registers = await monitor(machine, 'info registers');
    if (/HLT=1/.test(registers)) return registers;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw machine.console.error('the kernel was not entered');
}

/** Lines of the text screen. */
async function screen(machine: Machine): Promise<string[]> {
  const cells = await memory(machine, 0xb8000, 4000);
  const text = Buffer.from(cells.filter((_, i) => i % 2 === 0)).toString('latin1');
  return text.match(/.{80}/gs)!.map((line) => line.trimEnd());
}

test('the kernel is entered as the boot protocol wants it, with what was asked for done', async () => {
  const registers = { rip: at.kernel, rsi: 0x1111, rdi: 0x2222, rsp: 0x3330, rbx: 0x4444, rax: 0x5555 };
  const more = { rcx: 1, rdx: 2, rbp: 3, r8: 8, r9: 9, r10: 10, r11: 11, r12: 12, r13: 13, r14: 14, r15: 15 };
  const machine = await start(
    {
      registers: { ...registers, ...more },
      backup: { source: at.data + 1, destination: at.backup, size: 4097 },
      jumpBack: { commandLineEnd: at.commandLine + commandLine.length },
    },
    null,
  );
  try {
    await machine.console.waitFor(/^I'm in purgatory$/, 60);
    const state = await entered(machine);
    const value = (name: string) =>
      Number.parseInt(new RegExp(`\\b${name} *= *([0-9a-f]+)`).exec(state)![1]!, 16);
    const { rip: _, ...expected } = { ...registers, ...more };
    const found = Object.keys(expected).map((name) => [name, value(name.toUpperCase())]);
    expect(Object.fromEntries(found)).toEqual(expected);
    expect(value('RIP') - at.kernel).toBe(1);
    // Interrupts off, direction up.
    expect(value('RFL') & 0x600).toBe(0);
    expect(state).toMatch(/^CS =0010 0{16} ffffffff 00af9b00/m);
    for (const segment of ['DS', 'ES', 'SS', 'FS', 'GS'])
      expect(state).toMatch(new RegExp(`^${segment} =0018 0{16} ffffffff 00cf9300`, 'm'));
    expect(value('GDT')).toBe(at.purgatory + purgatoryCode().labels.get('gdt')!);

    expect(await memory(machine, at.backup, 4098)).toEqual(
      Buffer.concat([data.subarray(1, 4098), Buffer.of(0xee)]),
    );
    const line = (await memory(machine, at.commandLine, 96)).toString('latin1');
    expect(line.slice(0, line.indexOf('\0') + 2)).toBe(
      `${commandLine} kexec_jump_back_entry=0x0000123456789abc\0#`,
    );
    expect((await screen(machine))[0]).toBe("I'm in purgatory");
  } finally {
    await machine.stop();
  }
}, 150_000);

test('a changed byte: the kernel is not entered, both consoles say so, and the machine is reset', async () => {
  const machine = await start({}, 4999);
  try {
    await machine.console.waitFor(/^I'm in purgatory$/, 60);
    const refusal = await machine.console.waitFor(/not started/, 60);
    const found = Buffer.from(data);
    found[4999]! ^= 1;
    const lines = [
      refusal.text,
      `  expected: ${digestOf(data)}`,
      `  found:    ${digestOf(found)}`,
      'The machine is reset in a few seconds.',
    ];
    for (const line of lines.slice(1)) expect((await machine.console.waitFor(/./, 60)).text).toBe(line);
    expect((await screen(machine)).slice(0, 5)).toEqual(["I'm in purgatory", ...lines]);
    expect(await monitor(machine, 'info registers')).toMatch(/HLT=0/);
    // QEMU loads the image again after a reset.
    await machine.console.waitFor(/^I'm in purgatory$/, 90);
  } finally {
    await machine.stop();
  }
}, 150_000);

test('a refusal is on COM1 when no console was asked for; without a check there is none', async () => {
  const console = { resetVga: false, vga: false, serial: null, verbose: true };
  const refused = await start({ console }, 0);
  try {
    await refused.console.waitFor(/not started/, 60);
    expect(refused.console.lines.map(({ text }) => text)).not.toContain("I'm in purgatory");
    expect((await screen(refused)).join('\n')).not.toContain('not started');
  } finally {
    await refused.stop();
  }
  const unchecked = await start({ console, check: null }, 0);
  try {
    const state = await entered(unchecked);
    // A stack of its own.
    expect(state).toContain(`RSP=${(at.purgatory + purgatorySize).toString(16).padStart(16, '0')}`);
  } finally {
    await unchecked.stop();
  }
}, 150_000);

test('a port without a UART holds nothing up; VGA is a text screen again', async () => {
  const consoles = { vga: true, serial: { port: 0x2f8, baud: 9600 }, verbose: true };
  for (const resetVga of [false, true]) {
    const machine = await start({ console: { ...consoles, resetVga } }, null, true);
    try {
      await entered(machine);
      const shown = await monitor(machine, 'x /1hx 0xb8000');
      if (!resetVga) expect(shown).not.toContain('0x0749');
      else {
        const lines = await screen(machine);
        expect(lines[0]).toBe("I'm in purgatory");
        expect(lines.slice(1).join('')).toBe('');
        expect(shown).toContain('0x0749');
      }
    } finally {
      await machine.stop();
    }
  }
}, 150_000);
