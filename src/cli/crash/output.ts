import { closeSync, openSync, writeSync } from 'node:fs';
import type { CommandLine } from '../../crash/command-line.ts';
import { ShellCommand } from '../../system/shell.ts';

/** Where the lines of a command go. */
export type Output = {
  /** @returns false when nobody reads any more */
  write(text: string): Promise<boolean>;
  close(): Promise<void>;
};

export function openOutput(where: CommandLine['output']): Output {
  switch (where.kind) {
    case 'terminal':
      return standardOutput;
    case 'pipe':
      return new ShellCommand(where.shell, true);
    case 'file': {
      const file = saveFile(where.path, where.append);
      return {
        write: async (text) => {
          file.write(Buffer.from(text));
          return true;
        },
        close: async () => file.close(),
      };
    }
  }
}

/** A file that a command's output, or memory itself, goes into: what is in a dump is nobody else's business. */
export function saveFile(path: string, append = false): { write(bytes: Uint8Array): void; close(): void } {
  const file = openSync(path, append ? 'a' : 'w', 0o600);
  return { write: (bytes) => writeAll(file, bytes), close: () => closeSync(file) };
}

let broken = false;
process.stdout.on('error', () => {
  broken = true;
});

const standardOutput: Output = {
  async write(text) {
    if (broken) return false;
    if (!process.stdout.write(text))
      await new Promise<void>((resolve) => {
        const go = (): void => {
          process.stdout.off('drain', go).off('error', go).off('close', go);
          resolve();
        };
        process.stdout.on('drain', go).on('error', go).on('close', go);
      });
    return !broken;
  },
  close: async () => {},
};

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}
