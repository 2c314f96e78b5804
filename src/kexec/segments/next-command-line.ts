import { KdumpError } from '../../lib/errors.ts';
import { appendParameters } from '../command-line.ts';
import { exitCodes } from '../uapi.ts';
import { hex } from './placement.ts';

/** What the next kernel must be told on its command line, because nothing else can tell it. */
export type Hints = {
  /** Physical address of the ELF core header, a multiple of 1024, or null. */
  readonly elfcorehdr: number | null;
  readonly acpiRsdp: number | null;
  /** Words that describe its memory, or null. */
  readonly memmap: string | null;
};

/** The command line that is handed over: what was asked for, then the hints, which win when something is said twice. */
export function nextCommandLine(asked: string, { elfcorehdr, acpiRsdp, memmap }: Hints): string {
  const words = [
    ...(acpiRsdp === null ? [] : [`acpi_rsdp=${hex(acpiRsdp)}`]),
    ...(elfcorehdr === null ? [] : [`elfcorehdr=${elfcorehdr / 1024}K`]),
    ...(memmap === null ? [] : [memmap]),
  ];
  return words.length === 0 ? asked : appendParameters(asked, words.join(' '));
}

/**
 * @param limit longest command line that the kernel takes, in bytes without the terminating NUL
 * @param kernel names it in the error
 * @throws KdumpError `command-line-too-long`
 */
export function checkCommandLine(
  { commandLine, commandLineRoom }: { readonly commandLine: string; readonly commandLineRoom: number },
  limit: number,
  kernel: string,
): void {
  const commandLineBytes = Buffer.byteLength(commandLine) + commandLineRoom;
  if (commandLineBytes <= limit) return;
  throw new KdumpError(
    'command-line-too-long',
    `the command line has ${commandLineBytes} bytes with what kexec adds; ${kernel} takes ${limit}`,
    {
      fix: 'Shorten --append, or do not use --reuse-cmdline or --pass-memmap-cmdline.',
      facts: { commandLineBytes, commandLineLimit: limit },
      exitCode: exitCodes.failed,
    },
  );
}
