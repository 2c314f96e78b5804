import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readKernelLog } from '../../../src/kdump/capture/local-machine.ts';
import { copyVmcore, readVmcoreinfo } from '../../../src/kdump/capture/vmcore.ts';
import { release, writeVmcore } from '../../helpers/vmcore.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kdump-test-'));
});
afterEach(() => rmSync(root, { recursive: true }));
const quiet = { progress: () => {}, message: () => {} };

describe('readVmcoreinfo', () => {
  it('finds the note behind those of the CPUs', () => {
    writeVmcore(join(root, 'vmcore'));
    expect(readVmcoreinfo(join(root, 'vmcore'))).toMatchObject({ osrelease: release, crashTime: 1700000000 });
  });

  it('answers undefined when there is none', () => {
    writeVmcore(join(root, 'vmcore'), { vmcoreinfo: () => [] });
    expect(readVmcoreinfo(join(root, 'vmcore'))).toBeUndefined();
  });
});

const toFile = (path: string) => ({ kind: 'file', path }) as const;

describe('copyVmcore', () => {
  it('copies every byte, whatever lies where', () => {
    const run = fc.record({ zero: fc.boolean(), bytes: fc.integer({ min: 1, max: 200_000 }) });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 6 }), (runs) => {
        const content = Buffer.concat(
          runs.map(({ zero, bytes }, i) => Buffer.alloc(bytes, zero ? 0 : i + 1)),
        );
        writeFileSync(join(root, 'from'), content);
        rmSync(join(root, 'to'), { force: true });
        const { bytes, holes } = copyVmcore(join(root, 'from'), toFile(join(root, 'to')), quiet);
        expect(bytes).toBe(content.length);
        expect(holes).toBeLessThanOrEqual(content.length);
        expect(readFileSync(join(root, 'to')).equals(content)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('leaves zeros out and reports progress in bytes', () => {
    writeFileSync(join(root, 'from'), Buffer.alloc(9 << 20));
    const seen: [string, number, number][] = [];
    copyVmcore(join(root, 'from'), toFile(join(root, 'to')), {
      ...quiet,
      progress: (...call) => seen.push(call),
    });
    expect(seen.at(-1)).toEqual(['Copying vmcore', 9 << 20, 9 << 20]);
    expect(statSync(join(root, 'to')).size).toBe(9 << 20);
    expect(statSync(join(root, 'to')).blocks).toBeLessThan(64);
  });

  it('does not overwrite, and makes nothing when there is no source', () => {
    writeFileSync(join(root, 'to'), 'x');
    writeFileSync(join(root, 'from'), 'y');
    expect(() => copyVmcore(join(root, 'from'), toFile(join(root, 'to')), quiet)).toThrow(/EEXIST/);
    expect(() => copyVmcore(join(root, 'none'), toFile(join(root, 'new')), quiet)).toThrow(/ENOENT/);
    expect(existsSync(join(root, 'new'))).toBe(false);
  });
});

it('readKernelLog answers nothing when there is no log to read', () => {
  expect(readKernelLog(join(root, 'kmsg'))).toBe('');
});
