import type { SerialPort } from '../../kexec/request.ts';
import { KdumpError } from '../../lib/errors.ts';

export const wrongUsage = (message: string): KdumpError =>
  new KdumpError('usage', message, { fix: 'See `kexec --help`.' });

/** An address as C writes it: decimal, 0x… or octal with a leading 0. @throws KdumpError `usage` */
export function parseAddress(option: string, text: string): number {
  const value = /^0[0-7]+$/.test(text)
    ? Number.parseInt(text, 8)
    : /^(0x[0-9a-f]+|\d+)$/i.test(text)
      ? Number(text)
      : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw wrongUsage(`Bad option value in --${option}=${text}: an address was expected, such as 0x1000000`);
}

/** I/O ports of the serial ports that every PC has. */
const serialPorts: Readonly<Record<string, number>> = {
  ttyS0: 0x3f8,
  ttyS1: 0x2f8,
  ttyS2: 0x3e8,
  ttyS3: 0x2e8,
};
/** What the 8250's divisor divides. */
const fastest = 115200;
const slowest = 9600;

/**
 * --serial and --serial-baud; null when neither is given.
 * @throws KdumpError `usage`
 */
export function parseSerial(port: string | undefined, baud: string | undefined): SerialPort | null {
  if (port === undefined && baud === undefined) return null;
  return { port: parsePort(port ?? 'ttyS0'), baud: baud === undefined ? null : parseBaud(baud) };
}

function parsePort(text: string): number {
  const named = serialPorts[text];
  if (named !== undefined) return named;
  const port = /^0x[0-9a-f]{1,4}$/i.test(text) ? Number(text) : Number.NaN;
  // Its eight registers end where I/O ports end.
  if (port > 0 && port <= 0xfff8) return port;
  throw wrongUsage(
    `Bad serial port in --serial=${text}: ttyS0 to ttyS3 or an I/O port was expected, such as 0x3f8`,
  );
}

function parseBaud(text: string): number {
  const baud = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (baud >= slowest && baud <= fastest && fastest % baud === 0) return baud;
  throw wrongUsage(
    `Bad rate in --serial-baud=${text}: a divisor of ${fastest} that is not below ${slowest} was expected`,
  );
}
