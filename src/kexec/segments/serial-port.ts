import { splitWords } from '../command-line.ts';
import type { PurgatoryOptions } from '../purgatory/purgatory.ts';
import type { PlacingRequest, SerialPort } from '../request.ts';

/** I/O ports of ttyS0 to ttyS3 on a PC. */
const pcSerialPorts = [0x3f8, 0x2f8, 0x3e8, 0x2e8] as const;

/**
 * The serial port of the last console=ttySn on a command line; its speed stays as it is set.
 * Null: none is named there.
 */
function consolePort(commandLine: string): SerialPort | null {
  const ports = splitWords(commandLine).flatMap((word) => {
    const port = pcSerialPorts[Number(/^console=ttyS(\d+)(?:,|$)/.exec(word)?.[1])];
    return port === undefined ? [] : [{ port, baud: null }];
  });
  return ports.at(-1) ?? null;
}

/** Where the purgatory talks: only when it is asked to, but it always knows where to say that it refuses a kernel. */
export function purgatoryConsole(
  { resetVga, vga, serial, port }: PlacingRequest['console'],
  commandLine: string,
): PurgatoryOptions['console'] {
  const first = { port: pcSerialPorts[0], baud: null };
  return {
    resetVga,
    vga,
    serial: port ?? consolePort(commandLine) ?? (serial ? first : null),
    verbose: serial || vga,
  };
}
