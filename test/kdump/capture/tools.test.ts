import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { captureTools } from '../../../src/kdump/capture/tools.ts';
import { openKdump, popcount } from '../../helpers/kdump-reader.ts';
import { textPage, writeVmcore } from '../../helpers/vmcore.ts';

test('a vmcore that does not describe itself is saved whole rather than not at all', () => {
  const directory = mkdtempSync(join(tmpdir(), 'capture-tools-'));
  try {
    const core = join(directory, 'core');
    writeVmcore(core, { pages: 256, content: textPage, vmcoreinfo: () => [] });
    const messages: string[] = [];
    captureTools.collect(
      ['-l', '-d', '31', core, join(directory, 'dump')],
      {
        progress: () => {},
        message: (text) => messages.push(text),
      },
      {},
    );
    const dump = openKdump(join(directory, 'dump'));
    expect(popcount(dump.bitmap2)).toBe(256);
    expect(dump.dumpLevel).toBe(1);
    dump.close();
    expect(messages.join()).toContain('saving every page instead, at dump level 1');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
