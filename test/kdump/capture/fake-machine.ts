import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CaptureConfig, captureConfig } from '../../../src/kdump/capture/config.ts';
import type { CaptureMachine, CaptureTools } from '../../../src/kdump/capture/machine.ts';
import type { DumpReport } from '../../../src/kdump/capture/report.ts';
import { writeVmcore } from '../../helpers/vmcore.ts';

export const device = (name: string) =>
  ({ kind: 'filesystem', device: `/dev/${name}`, fstype: 'ext4', mountOptions: 'noatime' }) as const;

export const config: CaptureConfig = captureConfig({
  targets: [device('vda')],
  host: 'vm',
  coreCollector: ['makedumpfile', '-l', '-d', '31'],
  // What is told of it, steps/reporting.test.ts turns on.
  report: false,
});
export const dmesg =
  '[    1.0] booted\n[    2.0] Kernel panic - not syncing: sysrq triggered crash\n[    2.1] caf\xe9\n';
export const summary = 'The kernel crashed: somebody asked for it.';
export const report = { pages: { original: 3, remaining: 1 } };
/** CRASHTIME of the test vmcore, 1700000000 */
export const name = 'vm-2023-11-14-22:13:20';

/**
 * A machine that has crashed, made of a directory: each file system is a directory below `fs`, and mounted by a link.
 * What happens to it is noted in `events`.
 */
export function fakeMachine() {
  const root = mkdtempSync(join(tmpdir(), 'kdump-test-'));
  const mountPoint = join(root, 'mnt');
  const fs = (source: string) => join(root, 'fs', source.replaceAll('/', '_'));
  writeVmcore(join(root, 'vmcore'));
  const fake = {
    root,
    clock: 3,
    events: [] as string[],
    lines: [] as string[],
    promises: [] as number[],
    /** A directory of a file system, and of the dump on it. */
    on: (source: string, ...path: string[]) => join(fs(source), ...path),
    dump: (...path: string[]) => join(fs('/dev/vda'), 'var/crash', name, ...path),
    dumpJson: (source = '/dev/vda', directory = name): DumpReport =>
      JSON.parse(readFileSync(join(fs(source), 'var/crash', directory, 'dump.json'), 'utf8')),
    remove: () => rmSync(root, { recursive: true }),
    machine: {} as CaptureMachine,
    tools: {} as CaptureTools,
  };
  const note = (event: string): void => void fake.events.push(event);
  fake.machine = {
    boot: { testId: null, rehearsal: false, vmcore: join(root, 'vmcore') },
    mountPoint,
    stateFile: join(root, 'state'),
    logFile: join(root, 'log'),
    reportDirectory: join(root, 'report'),
    release: '6.1.0-capture',
    systemRam: () => 192 << 20,
    uptime: () => fake.clock,
    now: () => new Date('2026-01-02T03:04:05Z'),
    sleep: (seconds) => {
      fake.clock += seconds;
    },
    print: (line) => fake.lines.push(line),
    findDevice: (found) => found,
    mount: (source, directory, fstype, options) => {
      note(`mount ${source} ${fstype} ${options}`);
      mkdirSync(fs(source), { recursive: true });
      rmdirSync(directory);
      symlinkSync(fs(source), directory);
    },
    isMounted: (directory) => lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() ?? false,
    unmount: (directory) => {
      note('unmount');
      rmSync(directory);
    },
    unmountByForce: (directory) => {
      if (existsSync(directory)) note('unmount by force');
      rmSync(directory, { force: true });
    },
    memory: () => ({ total: 150_000, available: 90_000 - fake.clock * 1000, peak: 40_000 + fake.clock }),
    kernelLog: () => '[    0.000000] Linux version 6.1.0-capture\n',
    promise: (seconds) => fake.promises.push(seconds),
    stopWatchdog: () => {},
    setAction: (action) => note(`action ${action}`),
    run: (program, args) => {
      note(['run', program, ...args].join(' '));
      return { status: 0, said: '' };
    },
    feed: () => {
      throw new Error('nothing to feed');
    },
    start: (program, args) => note(['start', program, ...args].join(' ')),
    shell: () => note('shell'),
    bringUpNetwork: () => note('network'),
    post: async (url) => note(`post ${url}`),
  };
  fake.tools = {
    extractDmesg: () => dmesg,
    makeReport: (_vmcore, directory) => {
      mkdirSync(directory);
      writeFileSync(join(directory, 'report.json'), JSON.stringify({ summary }));
      writeFileSync(join(directory, 'report.html'), '<!DOCTYPE html>');
    },
    collect: (argv, hooks) => {
      writeFileSync(argv.at(-1)!, 'KDUMP   ', { mode: 0o644 });
      hooks.message('one\ntwo');
      return report;
    },
    retain: () => [],
  };
  return fake;
}
export type Fake = ReturnType<typeof fakeMachine>;
