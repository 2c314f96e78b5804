// A kernel as an object, compared with crash(8) and the debug vmlinux on the same vmcore.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../src/dump/input/open.ts';
import type { DumpSource } from '../../src/dump/input/source.ts';
import type { Backtrace, Frame } from '../../src/kernel/backtrace.ts';
import { type Kernel, openKernel } from '../../src/kernel/kernel.ts';
import { isMissing } from '../../src/kernel/memory.ts';
import { openKernelMemory } from '../../src/kernel/open.ts';
import type { SymbolOf } from '../../src/kernel/symbol-table.ts';
import { crashOutput } from './lab/crash-output.ts';
import { comparedKernels, kernelNames, rawVmcore } from './lab/lab.ts';

/** Those of which Debian 12 has the debug information. */
const described = comparedKernels().filter((name) => kernelNames.includes(name));

const hex = (value: bigint): string => value.toString(16).padStart(16, '0');
/** Every 997th symbol, and what is asked of every kernel. */
const symbolStep = 997;

describe.each(described)('kernel %s', (name) => {
  let dump: DumpSource;
  let kernel: Kernel;
  let output: Map<string, string>;

  beforeAll(async () => {
    const path = await rawVmcore(name);
    dump = openSource([path]);
    kernel = openKernel(openKernelMemory(dump.arch!, dump.vmcoreinfo!, dump, dump.segments), {
      notes: dump.notes,
    });
    const structures = structureNames(kernel);
    const commands = [
      'bt -a',
      'foreach bt',
      'ps',
      'mod',
      'sys -t',
      ...sampled(kernel).map((address) => `sym ${hex(address)}`),
      ...structures.map((type) => `struct -o ${type}`),
    ];
    output = await crashOutput(name, path, commands);
  });
  afterAll(() => dump?.close());

  test('bt -a: every frame, every exception, all registers of every CPU', () => {
    const expected = blocksOf(output.get('bt -a')!);
    expect(expected.length).toBe(kernel.cpus.length);
    for (const block of expected) {
      const cpu = kernel.cpus.find(({ task }) => task === block.task)!;
      expect(linesOf(kernel, kernel.backtrace({ cpu: cpu.cpu }), block.frames)).toEqual(block.frames);
    }
  });

  test('foreach bt: every frame of every task', () => {
    const expected = blocksOf(output.get('foreach bt')!);
    const tasks = new Map(kernel.tasks.map((task) => [task.address, task]));
    expect(expected.length).toBeGreaterThan(50);
    const differing = expected
      .map(({ task, frames }) => ({
        ours: linesOf(kernel, kernel.backtrace(tasks.get(task)!), frames),
        theirs: frames,
      }))
      .filter(({ ours, theirs }) => ours.join() !== theirs.join());
    expect(differing).toEqual([]);
    expect(tasks.size).toBe(expected.length);
  });

  test('ps: every task with its parent, CPU, state and memory', () => {
    const lines = output.get('ps')!.split('\n').slice(1);
    const expected = lines
      .map((line) => line.replace('>', ' ').trim().split(/\s+/))
      .filter((words) => words.length >= 9)
      .map(([pid, ppid, cpu, task, state, , total, resident, ...comm]) =>
        [pid, ppid, cpu, task, state, total, resident, comm.join(' ').replace(/^\[(.*)\]$/, '$1')].join(' '),
      );
    const ours = kernel.tasks.map((task) => {
      const memory = task.memory();
      if (memory !== undefined && isMissing(memory)) throw new Error('memory is missing');
      const { state, parent } = task;
      if (isMissing(state) || isMissing(parent)) throw new Error('a task is missing');
      // crash lets idle tasks have no parent.
      const ppid = task.pid === 0 ? 0 : kernel.task(parent).pid;
      const resident = memory === undefined ? 0 : memory.file + memory.anonymous + memory.shared;
      return [
        task.pid,
        ppid,
        task.cpu,
        hex(task.address),
        state.code,
        (memory?.total ?? 0) * 4,
        resident * 4,
        task.comm,
      ].join(' ');
    });
    expect(ours.sort()).toEqual(expected.sort());
    const running = lines.filter((line) => line.startsWith('>')).map((line) => line.split(/\s+/)[4]);
    expect(kernel.cpus.map(({ task }) => hex(task!)).sort()).toEqual(running.sort());
  });

  test('mod: every module with its place and size', () => {
    const expected = output
      .get('mod')!
      .split('\n')
      .slice(1)
      .map((line) => line.split(/\s+/).slice(0, 4).join(' '))
      .filter((line) => line !== '');
    const ours = kernel.modules.map(
      (module) => `${hex(module.address)} ${module.name} ${hex(module.base!)} ${module.size}`,
    );
    expect(ours.sort()).toEqual(expected.sort());
    expect(ours.length).toBeGreaterThan(2);
    expect(kernel.modules.every(({ state, taints }) => state === 'live' && taints === '')).toBe(true);
    expect(output.get('sys -t')).toContain('TAINTED_MASK: 0');
  });

  test('sym: addresses have the same names, in the kernel and in modules', () => {
    const differing = sampled(kernel)
      .map((address) => {
        const theirs = output.get(`sym ${hex(address)}`)!.split('\n')[0]!;
        const { symbol, offset } = kernel.symbolAt(address)!;
        const [, name = '', theirOffset = '0'] = /^\w+ \(.\) (\S+?)(?:\+(\d+))?( |$)/.exec(theirs) ?? [];
        const agrees = isCalled(kernel, symbol, name) && Number(theirOffset) === offset;
        return { theirs, ours: `${symbol.name}+${offset}`, agrees };
      })
      .filter(({ agrees }) => !agrees);
    expect(differing).toEqual([]);
  });

  test('struct -o: every member of two hundred structures at the same offset', () => {
    const names = structureNames(kernel);
    const differing: unknown[] = [];
    let members = 0;
    for (const type of names) {
      const ours = kernel.type(`struct ${type}`)!;
      const theirs = parseOffsets(output.get(`struct -o ${type}`)!);
      // What lies in a structure without a name of its own is no member of this one.
      const both = [...theirs].filter(([member]) => ours.place(member) !== undefined);
      const wrong = both.filter(([member, offset]) => ours.place(member)!.offset !== offset);
      if (wrong.length > 0) differing.push({ type, wrong });
      members += both.length;
    }
    expect(differing).toEqual([]);
    expect(names.length).toBe(200);
    expect(members).toBeGreaterThan(2000);
  });
});

type Block = { readonly task: bigint; readonly frames: readonly string[] };

/** What crash prints for each task: one line for each frame, each exception, and the registers of each. */
function blocksOf(text: string): Block[] {
  return text
    .split(/^PID: /m)
    .slice(1)
    .map((block) => ({
      task: BigInt(`0x${/TASK: (\w+)/.exec(block)![1]}`),
      frames: block
        .split('\n')
        .slice(1)
        .map((line) => line.trim())
        .filter((line) => line !== '' && !line.startsWith('---') && !/^bt:/.test(line))
        .map((line) =>
          line
            .replace(/^#\d+ /, '')
            .replace(/ \[\w+\]$/, '')
            .replace(/\s+/g, ' '),
        ),
    }));
}

/**
 * A backtrace as crash prints it. Where several symbols share an address, and where crash leaves out what the compiler
 * added to a name, its choice of a name is taken over.
 * @param theirs what crash printed
 */
function linesOf(kernel: Kernel, { frames }: Backtrace, theirs: readonly string[]): string[] {
  const lines: string[] = [];
  const call = (slot: bigint, frame: Frame): void => {
    const [, name = ''] = /^\[\w+\] (\S+) at/.exec(theirs[lines.length] ?? '') ?? [];
    const { symbol } = frame.place!;
    lines.push(`[${hex(slot)}] ${isCalled(kernel, symbol, name) ? name : symbol.name} at ${hex(frame.ip)}`);
  };
  for (const frame of frames) {
    const { slot, place, registers, user } = frame;
    if (registers === undefined) {
      call(slot!, frame);
      continue;
    }
    const value = (register: keyof typeof registers, digits = 16): string =>
      registers[register]!.toString(16).padStart(digits, '0');
    if (!user) lines.push(`[exception RIP: ${place!.symbol.name}+${place!.offset}]`);
    lines.push(
      `RIP: ${value('rip')} RSP: ${value('rsp')} RFLAGS: ${value('rflags', 8)}`,
      `RAX: ${value('rax')} RBX: ${value('rbx')} RCX: ${value('rcx')}`,
      `RDX: ${value('rdx')} RSI: ${value('rsi')} RDI: ${value('rdi')}`,
      `RBP: ${value('rbp')} R8: ${value('r8')} R9: ${value('r9')}`,
      `R10: ${value('r10')} R11: ${value('r11')} R12: ${value('r12')}`,
      `R13: ${value('r13')} R14: ${value('r14')} R15: ${value('r15')}`,
      `ORIG_RAX: ${value('orig_rax')} CS: ${value('cs', 4)} SS: ${value('ss', 4)}`,
    );
    if (!user) call(registers.rsp, frame);
  }
  return lines;
}

/** Whether a name of crash stands for the same address as a symbol. */
function isCalled(kernel: Kernel, { address, name }: SymbolOf, theirs: string): boolean {
  const plain = (text: string): string => text.replace(/(\.(isra|part|constprop)\.\d+)+$/, '');
  if (plain(name) === plain(theirs)) return true;
  const aliases = [theirs, `${theirs}.part.0`, `${theirs}.isra.0`, `${theirs}.constprop.0`];
  return aliases.some((alias) => kernel.symbols.all(alias).some((other) => other.address === address));
}

/** Addresses in the middle of symbols of the kernel and its modules: of text, and of data. */
function sampled(kernel: Kernel): bigint[] {
  const addresses: bigint[] = [];
  let index = 0;
  for (const { address, module } of kernel.symbols.entries()) {
    if (index++ % (module === undefined ? symbolStep : 17) !== 0) continue;
    const place = kernel.symbolAt(address);
    if (place?.symbol.address === address) addresses.push(address + BigInt(Math.min(3, place.size - 1)));
  }
  return addresses;
}

/** Two hundred structures of the kernel's own types, all over them. */
function structureNames(kernel: Kernel): string[] {
  const btf = kernel.core.btf!;
  const always = [
    'task_struct',
    'mm_struct',
    'module',
    'file',
    'rq',
    'net_device',
    'page',
    'pt_regs',
    'super_block',
  ];
  const names = new Set(always);
  for (let id = 1; names.size < 200 && id < btf.length; id += 113) {
    for (let near = id; near < id + 113 && near < btf.length; near++) {
      const type = btf.name(near);
      const found = btf.kind(near) === 4 && type !== '' ? kernel.type(`struct ${type}`) : undefined;
      // One of a kind, so that both look at the same.
      if (
        found === undefined ||
        btf.named(type).length !== 1 ||
        !found.members.some(({ name, bits }) => name !== '' && bits === undefined) ||
        names.has(type)
      )
        continue;
      names.add(type);
      break;
    }
  }
  return [...names];
}

/** Members of the outermost braces: `  [2416] pid_t pid;` */
function parseOffsets(text: string): Map<string, number> {
  const offsets = new Map<string, number>();
  for (const [, offset, declaration] of text.matchAll(/^ {2,4}\[(\d+)\] ([^\n{}]+);$/gm)) {
    const [, pointed, plain] =
      /\(\*+(?:const )?(\w+)(?:\[\w*\])*\)|(\w+)(?:\[\w*\])*(?: : \d+)?$/.exec(declaration!) ?? [];
    const member = pointed ?? plain;
    if (member !== undefined && !declaration!.includes(' : ')) offsets.set(member, Number(offset));
  }
  return offsets;
}
