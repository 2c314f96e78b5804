import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const directory = fileURLToPath(new URL('../../fixtures/kdump-conf', import.meta.url));

export const fixture = (name: string): string => readFileSync(join(directory, name), 'utf8');

/** Runs with a root directory that holds these files, and removes it. */
export function withRoot<T>(files: Record<string, string>, run: (root: string) => T): T {
  const root = mkdtempSync(join(tmpdir(), 'kdump-config-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    return run(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}
