import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { isMissing } from './memory.ts';
import { ipv4Text } from './network.ts';
import type { KernelObject } from './object.ts';

/** An entry of the ARP table. */
export type Neighbour = {
  readonly object: KernelObject;
  readonly address: string | undefined;
  /** Its network interface. */
  readonly device: KernelObject | undefined;
  /** Address of its hardware. */
  readonly hardware: Uint8Array;
  /** NUD_… bits (include/uapi/linux/neighbour.h). */
  readonly state: number;
};

const mostBuckets = 2 ** 16;
const mostEntries = 2 ** 20;

/** The ARP table of all network namespaces; `damaged` when one of its chains cannot be followed to its end. */
export function neighbours(kernel: Kernel): { readonly entries: Neighbour[]; readonly damaged: boolean } {
  const { core } = kernel;
  const table = core.type('neigh_table') && core.global('arp_tbl', 'neigh_table');
  const hash = known(table?.find('nht')?.deref());
  // Chains of pointers to the next one; since 6.13 hlist_nodes.
  const buckets = known(hash?.find('hash_heads', 'hash_buckets')?.integer());
  const shift = known(hash?.find('hash_shift')?.number());
  if (!buckets || shift === undefined) return { entries: [], damaged: table !== undefined };
  const link = BigInt(core.type('neighbour')?.place('hash')?.offset ?? 0);
  const entries: Neighbour[] = [];
  const seen = new Set<bigint>();
  let damaged = false;
  for (let bucket = 0; bucket < Math.min(2 ** shift, mostBuckets); bucket++) {
    for (let to = core.u64(buckets + BigInt(8 * bucket)); to !== 0n; ) {
      if (isMissing(to) || seen.has(to) || seen.size >= mostEntries) {
        damaged = true;
        break;
      }
      seen.add(to);
      // Both kinds of links lie where the next one is found.
      const next = core.u64(to);
      if (!isMissing(next)) entries.push(neighbourAt(kernel, to - link));
      to = next;
    }
  }
  return { entries, damaged };
}

function neighbourAt(kernel: Kernel, address: bigint): Neighbour {
  const object = kernel.object('neighbour', address);
  const key = known(kernel.core.i32(object.member('primary_key').address));
  const device = known(object.member('dev').deref());
  const length = known(device?.member('addr_len').number()) ?? 0;
  const bytes = object.member('ha').bytes();
  return {
    object,
    address: key === undefined ? undefined : ipv4Text(key),
    device,
    hardware: isMissing(bytes) ? new Uint8Array(0) : bytes.subarray(0, length),
    state: known(object.member('nud_state').number()) ?? 0,
  };
}
