import { createHash } from 'node:crypto';
import type { Attempt } from './attempts.ts';
import type { Plan } from './plan.ts';

const hex = (address: number): string => `0x${address.toString(16)}`;

/** The plan as plain JSON: segments by their digests instead of their bytes, addresses in hexadecimal. */
export function planToJson(plan: Plan): object {
  return {
    ...plan,
    first: attemptToJson(plan.first),
    fallback: plan.fallback && attemptToJson(plan.fallback),
  };
}

function attemptToJson(attempt: Attempt): object {
  if (attempt.syscall === 'kexec_file_load') return attempt;
  return {
    ...attempt,
    entry: hex(attempt.entry),
    segments: attempt.segments.map(({ name, mem, memsz, bytes, verified }) => ({
      name,
      mem: hex(mem),
      memsz: hex(memsz),
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      verified,
    })),
    e820: attempt.e820.map(({ start, end, type }) => `${hex(start)}-${hex(end - 1)} ${type}`),
  };
}
