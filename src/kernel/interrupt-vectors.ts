import type { Kernel } from './kernel.ts';
import { isMissing, type Missing } from './memory.ts';

const vectors = 256;
/** struct gate_struct of x86_64: the handler's address is in three pieces. */
const gateBytes = 16;

/** Handlers of the interrupt descriptor table of x86_64, by vector; undefined of a kernel that has none. */
export function interruptVectors({ core }: Kernel): (bigint | Missing)[] | undefined {
  const table = core.address('idt_table');
  if (table === undefined) return undefined;
  return Array.from({ length: vectors }, (_, vector) => {
    const gate = core.memory.read(table + BigInt(vector * gateBytes), gateBytes);
    if (isMissing(gate)) return gate;
    const view = new DataView(gate.buffer, gate.byteOffset, gate.length);
    const low = view.getUint16(0, true) + view.getUint16(6, true) * 2 ** 16;
    return (BigInt(view.getUint32(8, true)) << 32n) | BigInt(low);
  });
}
