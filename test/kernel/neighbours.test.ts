import { expect, test } from 'vitest';
import { openKernel } from '../../src/kernel/kernel.ts';
import { neighbours } from '../../src/kernel/neighbours.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeKernelMemory, words } from '../helpers/kernel.ts';

const start = 0xffff_8000_0000_0000n;
const [table, hash, buckets, device] = [0, 0x40, 0x80, 0xc0].map((at) => start + BigInt(at));
const entry = (index: number): bigint => start + 0x200n + BigInt(index * 0x40);

/** Two chains, of entries 0 and 1, and of 2. @param linked with hlist_nodes in place of pointers @param last what follows entry 1 */
function kernel(linked: boolean, last = 0n) {
  const btf = new BtfBuilder();
  const long = btf.int('unsigned long', 8);
  const byte = btf.int('unsigned char', 1);
  const net = btf.struct('net_device', 16, [
    ['addr_len', byte, 0],
    ['type', byte, 8],
  ]);
  const first = linked ? btf.struct('hlist_node', 16, [['next', long, 0]]) : long;
  btf.struct('neighbour', 64, [
    ['dev', btf.pointer(net), 0],
    [linked ? 'hash' : 'next', first, linked ? 64 : 256],
    ['nud_state', byte, 192],
    ['ha', btf.array(byte, 6), 200],
    ['primary_key', btf.array(byte, 0), 384],
  ]);
  const heads = btf.struct('neigh_hash_table', 16, [
    [linked ? 'hash_heads' : 'hash_buckets', btf.pointer(long), 0],
    ['hash_shift', btf.int('unsigned int', 4), 64],
  ]);
  btf.struct('neigh_table', 8, [['nht', btf.pointer(heads), 0]]);
  const bytes = Buffer.alloc(0x1000);
  const put = (address: bigint, ...values: (bigint | number)[]): void => {
    words(...values).copy(bytes, Number(address - start));
  };
  const link = linked ? 8n : 0n;
  put(table!, hash!);
  put(hash!, buckets!, 1);
  put(buckets!, entry(0) + link, entry(2) + link);
  put(device!, 6 | (1 << 8));
  for (const [index, next] of [entry(1) + link, last, 0n].entries()) {
    const at = Number(entry(index) - start);
    if (linked) put(entry(index), device!, next);
    // The pointer to the next one is the first thing in an entry.
    else put(entry(index), next);
    bytes[at + 24] = 4;
    bytes.write('525400123456', at + 25, 'hex');
    bytes.writeUInt32BE(0x0a00_0200 + index, at + 48);
  }
  return openKernel(
    fakeKernelMemory({ pieces: [{ vaddr: start, bytes }], types: btf, symbols: { arp_tbl: table! } }),
  );
}

test('every chain of the table; since 6.13 they are linked through a member', () => {
  const { entries, damaged } = neighbours(kernel(true));
  expect(damaged).toBe(false);
  expect(entries.map(({ address }) => address)).toEqual(['10.0.2.0', '10.0.2.1', '10.0.2.2']);
  expect(entries[0]).toMatchObject({ state: 4 });
  expect(Buffer.from(entries[0]!.hardware).toString('hex')).toBe('525400123456');
  expect(neighbours(kernel(false)).entries.map(({ object }) => object.address)).toEqual([
    entry(0),
    entry(1),
    entry(2),
  ]);
});

test('a chain that goes in a circle, or out of the dump, gives what can be reached', () => {
  for (const last of [entry(0) + 8n, 0xffff_9000_0000_0000n]) {
    const { entries, damaged } = neighbours(kernel(true, last));
    expect(entries).toHaveLength(3);
    expect(damaged).toBe(true);
  }
});

test('a kernel without such a table has none', () => {
  expect(neighbours(openKernel(fakeKernelMemory({})))).toEqual({ entries: [], damaged: false });
});
