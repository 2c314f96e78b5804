import type { SavedDump } from '../../../src/kdump/dumps/saved-dump.ts';

/** A dump that is nowhere. */
export function savedDump(part: Partial<SavedDump> = {}): SavedDump {
  const name = part.name ?? 'box-2026-01-01-00:00:00';
  return {
    name,
    directory: `/var/crash/${name}`,
    elsewhere: null,
    madeBy: 'kdump-tools',
    state: 'complete',
    host: 'box',
    time: '2026-01-01T00:00:00.000Z',
    kernelRelease: '6.12.0',
    panic: null,
    summary: null,
    vmcore: 'vmcore',
    dmesg: 'vmcore-dmesg.txt',
    files: { vmcore: 1000 },
    bytes: 1024,
    report: null,
    ...part,
  };
}
