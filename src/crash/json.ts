/** Plain values for JSON: bigints as '0x…' text, what has no value left out as JSON does. */
export function plainJson(value: unknown): unknown {
  if (typeof value === 'bigint')
    return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
  if (Array.isArray(value)) return value.map(plainJson);
  if (typeof value === 'object' && value !== null && !('toJSON' in value))
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plainJson(each)]));
  return value;
}
