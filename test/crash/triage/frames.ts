import type { Frame } from '../../../src/kernel/backtrace.ts';
import type { Registers } from '../../../src/kernel/registers.ts';

/** A frame of a function: 'name', or 'module:name'. */
export function frame(text: string, more: Partial<Frame> = {}): Frame {
  const [name, module] = text.split(':').reverse() as [string, string?];
  const symbol = { name, type: 'T', address: 0xffff_ffff_8100_0000n, module: module && { name: module } };
  return {
    ip: symbol.address + 5n,
    place: { symbol, offset: 5, size: 0x40 } as NonNullable<Frame['place']>,
    sp: 0n,
    slot: 0n,
    kind: 'call',
    registers: undefined,
    user: false,
    certain: true,
    stack: undefined,
    ...more,
  };
}

export const registers = (values: Partial<Registers> = {}): Registers => ({ rip: 0n, rsp: 0n, ...values });

/** What an exception or interrupt interrupted. */
export const interrupted = (text: string, kind: 'exception' | 'interrupt' = 'exception'): Frame =>
  frame(text, { kind, registers: registers() });

export const userMode: Frame = frame('user', {
  place: undefined,
  user: true,
  kind: 'syscall',
  registers: registers(),
});
