import type { PrintkRecord } from './printk.ts';

/**
 * Renders records as `makedumpfile --dump-dmesg` does: `[%5lld.%06ld] `, then `[%8s] ` with the caller (T<thread> or
 * C<cpu>) when the kernel exports it, continuation lines indented, bytes that do not print as \xNN.
 */
export function formatPrintk(records: readonly PrintkRecord[]): string {
  return records.map(formatRecord).join('');
}

/** Renders records as vmcore-dmesg of kexec-tools does: time and text alone, what does not print as \xNN. */
export function formatPlain(records: readonly PrintkRecord[]): string {
  return records
    .map((record) => `${timeOf(record)}${record.text === undefined ? '<lost>' : escapeText(record.text)}\n`)
    .join('');
}

/** '[    9.750948] ': seconds since boot. */
export function timeOf({ timestamp }: PrintkRecord): string {
  const micros = (timestamp % 1_000_000_000n) / 1000n;
  return `[${(timestamp / 1_000_000_000n).toString().padStart(5)}.${micros.toString().padStart(6, '0')}] `;
}

function formatRecord(record: PrintkRecord): string {
  let prefix = timeOf(record);
  if (record.caller !== undefined) prefix += `[${formatCaller(record.caller).padStart(8)}] `;
  const text = record.text === undefined ? '<lost>' : escapeText(record.text);
  return `${prefix}${text.replaceAll('\n', `\n${' '.repeat(prefix.length)}`)}\n`;
}

/** 'T1' of a thread, 'C1' of a CPU. */
export const formatCaller = (caller: number): string =>
  caller >= 0x8000_0000 ? `C${caller - 0x8000_0000}` : `T${caller}`;

export function escapeText(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) {
    const prints = (byte >= 0x20 && byte < 0x7f) || (byte >= 0x09 && byte <= 0x0d);
    out += prints ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return out;
}
