import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CaptureConfig } from '../../../src/kdump/capture/config.ts';
import { runAfterFailure, runCapture } from '../../../src/kdump/capture/flow.ts';
import type { CaptureMachine, CaptureTools } from '../../../src/kdump/capture/machine.ts';
import { stalledWords } from '../../../src/kdump/capture/paths.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { release, writeVmcore } from '../../helpers/vmcore.ts';

const config: CaptureConfig = {
  target: { device: '/dev/vda', fstype: 'ext4', mountOptions: 'noatime' },
  path: '/var/crash',
  host: 'vm',
  coreCollector: ['makedumpfile', '-l', '-d', '31'],
  finalAction: 'reboot',
  deviceTimeout: 30,
};
const dmesg =
  '[    1.0] booted\n[    2.0] Kernel panic - not syncing: sysrq triggered crash\n[    2.1] caf\xe9\n';
const report = { pages: { original: 3, remaining: 1 } };
/** CRASHTIME of the test vmcore, 1700000000 */
const name = 'vm-2023-11-14-22:13:20';

let root: string;
let clock: number;
let mounted: boolean;
let mounts: string[];
let promises: number[];
let lines: string[];
let machine: CaptureMachine;
let tools: CaptureTools;
const target = (...path: string[]): string => join(root, 'target', ...path);
const dump = (...path: string[]): string => target('var/crash', name, ...path);
const dumpJson = () => JSON.parse(readFileSync(dump('dump.json'), 'utf8'));

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kdump-test-'));
  mkdirSync(target());
  writeVmcore(join(root, 'vmcore'));
  clock = 3;
  mounted = false;
  mounts = [];
  promises = [];
  lines = [];
  machine = {
    vmcore: join(root, 'vmcore'),
    mountPoint: target(),
    stateFile: join(root, 'state'),
    logFile: join(root, 'log'),
    release: '6.1.0-capture',
    systemRam: () => 192 << 20,
    uptime: () => clock,
    now: () => new Date('2026-01-02T03:04:05Z'),
    sleep: (seconds) => {
      clock += seconds;
    },
    print: (line) => lines.push(line),
    findDevice: (device) => device,
    mount: (...given) => {
      mounts.push(given.join(' '));
      mounted = true;
    },
    isMounted: () => mounted,
    unmount: () => {
      mounted = false;
    },
    memory: () => ({ total: 150_000, available: 90_000 - clock * 1000, peak: 40_000 + clock }),
    kernelLog: () => '[    0.000000] Linux version 6.1.0-capture\n',
    promise: (seconds) => promises.push(seconds),
  };
  tools = {
    extractDmesg: () => dmesg,
    collect: (argv, hooks) => {
      writeFileSync(argv.at(-1)!, 'KDUMP   ', { mode: 0o644 });
      hooks.message('one\ntwo');
      return report;
    },
  };
});
afterEach(() => rmSync(root, { recursive: true }));

describe('a capture that goes well', () => {
  it('leaves the dump, the log of the crashed kernel, its own log and an account', () => {
    let argv: readonly string[] = [];
    let marker: { state: string } | undefined;
    const outcome = runCapture(config, machine, {
      ...tools,
      collect: (given, hooks) => {
        argv = given;
        marker = dumpJson();
        expect(existsSync(dump('vmcore-dmesg.txt'))).toBe(true);
        clock += 4;
        return tools.collect(given, hooks);
      },
    });
    expect(outcome).toMatchObject({ recorded: true, directory: dump() });
    expect(readdirSync(dump()).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'vmcore',
      'vmcore-dmesg.txt',
    ]);
    expect(argv).toEqual(['-l', '-d', '31', machine.vmcore, dump('vmcore-incomplete')]);
    expect(marker).toMatchObject({ state: 'incomplete', kernelRelease: release });
    expect(readFileSync(dump('vmcore-dmesg.txt'), 'latin1')).toBe(dmesg);
    expect(mounts).toEqual(['/dev/vda ext4 noatime']);
    expect(mounted).toBe(false);

    expect(dumpJson()).toMatchObject({
      format: 1,
      state: 'complete',
      host: 'vm',
      kernelRelease: release,
      crashTime: '2023-11-14T22:13:20.000Z',
      panic: 'Kernel panic - not syncing: sysrq triggered crash',
      captureKernelRelease: '6.1.0-capture',
      collector: 'makedumpfile -l -d 31',
      report,
      errors: [],
      memory: {
        totalKiB: 150_000,
        lowestAvailableKiB: 83_000,
        nodePeakKiB: 40_007,
        systemRamBytes: 192 << 20,
      },
      files: { vmcore: 8, 'vmcore-dmesg.txt': dmesg.length },
    });
    const steps = dumpJson().steps.map((step: { name: string }) => step.name);
    expect(steps).toEqual(['device', 'mount', 'directory', 'marker', 'dmesg', 'collect']);
    expect(dumpJson().steps.at(-1)).toEqual({ name: 'collect', began: 3, seconds: 4 });
  });

  it('lets only root read what it saved', () => {
    runCapture(config, machine, tools);
    expect(statSync(dump()).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(dump())) expect(statSync(dump(file)).mode & 0o777, file).toBe(0o600);
  });

  it('says each step with its time and keeps what it said beside the kernel log', () => {
    writeFileSync(machine.logFile, 'kdump: [    1.00] said by init\n');
    runCapture(config, machine, tools);
    expect(lines).toContain('kdump: [    3.00] two');
    for (const line of lines) expect(line).toMatch(/^kdump: \[ *\d+\.\d\d\] \S/);
    const saved = readFileSync(dump('kexec-dmesg.log'), 'utf8');
    expect(saved).toMatch(/^kdump: \[ {4}1\.00\] said by init\n/);
    expect(saved).toContain('capture complete');
    expect(saved).toMatch(/\n\[ {4}0\.000000\] Linux version 6\.1\.0-capture\n$/);
  });

  it('copies the vmcore whole when the collector is cp', () => {
    runCapture({ ...config, coreCollector: ['cp'] }, machine, tools);
    expect(readFileSync(dump('vmcore')).equals(readFileSync(machine.vmcore))).toBe(true);
    expect(dumpJson()).toMatchObject({
      state: 'complete',
      collector: 'cp',
      report: { bytes: statSync(machine.vmcore).size },
    });
  });

  it('shows progress every few seconds and promises a sign of life each time', () => {
    runCapture(config, machine, {
      ...tools,
      collect: (argv, hooks) => {
        for (let second = 0; second <= 20; second++) {
          for (let call = 0; call < 10; call++) hooks.progress('Copying data', second, 20);
          clock += 1;
        }
        return tools.collect(argv, hooks);
      },
    });
    const shown = lines.filter((line) => line.includes('Copying data'));
    expect(shown).toHaveLength(4);
    expect(shown[0]).toMatch(/Copying data +: \[ {1,2}\d+\.\d %\] .* eta: \d+s$/);
    expect(promises.length).toBeGreaterThanOrEqual(20);
  });

  it('does not write into a directory that is there already', () => {
    mkdirSync(dump(), { recursive: true });
    expect(runCapture(config, machine, tools).directory).toBe(`${dump()}-2`);
    expect(readdirSync(dump())).toEqual([]);
  });
});

describe('a target that somebody else has mounted', () => {
  const given: CaptureConfig = { ...config, target: { mountPoint: '/sysroot' } };
  beforeEach(() => {
    mounted = true;
    machine = {
      ...machine,
      findDevice: () => expect.fail('looked for a device'),
      mount: () => expect.fail('mounted'),
      unmount: () => expect.fail('unmounted'),
    };
  });

  it('is used as it is and left mounted', () => {
    expect(runCapture(given, machine, tools)).toMatchObject({ recorded: true, directory: dump() });
    expect(dumpJson()).toMatchObject({ state: 'complete', errors: [] });
    const steps = dumpJson().steps.map((step: { name: string }) => step.name);
    expect(steps).toEqual(['mount', 'directory', 'marker', 'dmesg', 'collect']);
    expect(mounted).toBe(true);
  });

  it('is missed when nothing is mounted there: a dump in the root of the initramfs would be lost', () => {
    mounted = false;
    const outcome = runCapture(given, machine, tools);
    expect(outcome).toMatchObject({
      recorded: false,
      report: { errors: [{ step: 'mount', code: 'not-mounted' }] },
    });
    expect(readdirSync(target())).toEqual([]);
  });

  it('gets the account of a capture that died', () => {
    expect(runAfterFailure(137, given, machine, tools)).toMatchObject({ recorded: true, directory: dump() });
    expect(dumpJson()).toMatchObject({ state: 'failed', errors: [{ code: 'capture-died' }] });
    expect(mounted).toBe(true);
  });
});

describe('a capture that fails', () => {
  it('waits for the device for as long as it should, then says how to help', () => {
    const outcome = runCapture(config, { ...machine, findDevice: () => undefined }, tools);
    expect(outcome).toMatchObject({ recorded: false, directory: null });
    expect(outcome.report.errors).toMatchObject([
      { step: 'device', code: 'device-missing', message: expect.stringContaining('within 30 s') },
    ]);
    expect(clock).toBeGreaterThanOrEqual(33);
    expect(clock).toBeLessThan(34);
    expect(lines.some((line) => line.includes('--add-drivers'))).toBe(true);
  });

  it('takes a device that appears late', () => {
    const late = { ...machine, findDevice: (device: string) => (clock > 20 ? device : undefined) };
    expect(runCapture(config, late, tools).report.state).toBe('complete');
  });

  it('tries nothing more when the target cannot be mounted', () => {
    const outcome = runCapture(
      config,
      {
        ...machine,
        mount: () => {
          throw new KdumpError('mount', 'no such file system');
        },
      },
      tools,
    );
    expect(outcome).toMatchObject({ recorded: false, report: { errors: [{ step: 'mount' }] } });
    expect(readdirSync(target())).toEqual([]);
  });

  it('still saves the dump when the log cannot be extracted', () => {
    runCapture(config, machine, {
      ...tools,
      extractDmesg: () => {
        throw new KdumpError('no-log', 'the log cannot be found');
      },
    });
    expect(readdirSync(dump()).sort()).toEqual(['dump.json', 'kexec-dmesg.log', 'vmcore']);
    expect(dumpJson()).toMatchObject({ state: 'complete', errors: [{ step: 'dmesg', code: 'no-log' }] });
  });

  it('saves logs and the cause when the collector fails before it writes anything', () => {
    const outcome = runCapture(config, machine, {
      ...tools,
      collect: () => {
        throw new KdumpError('no-vmcoreinfo', 'no VMCOREINFO', { fix: 'Use level 1.' });
      },
    });
    expect(outcome.recorded).toBe(true);
    expect(readdirSync(dump()).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'vmcore-dmesg.txt',
      'vmcore-failed.txt',
    ]);
    expect(dumpJson()).toMatchObject({
      state: 'failed',
      errors: [{ step: 'collect', code: 'no-vmcoreinfo', fix: 'Use level 1.' }],
    });
    const words = readFileSync(dump('vmcore-failed.txt'), 'utf8');
    expect(words).toContain('Step "collect" failed: no VMCOREINFO\nUse level 1.');
    expect(words).toContain('vmcore-dmesg.txt (');
    expect(words).toContain('sysrq triggered crash');
  });

  it('keeps what was written under its incomplete name when the target is full, and has room for the account', () => {
    runCapture(config, machine, {
      ...tools,
      collect: (argv) => {
        expect(statSync(dump('reserve-incomplete')).size).toBeGreaterThan(0);
        writeFileSync(argv.at(-1)!, 'some');
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      },
    });
    expect(readdirSync(dump()).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'vmcore-dmesg.txt',
      'vmcore-failed.txt',
      'vmcore-incomplete',
    ]);
    expect(dumpJson()).toMatchObject({
      state: 'incomplete',
      errors: [{ code: 'ENOSPC', message: expect.stringContaining('the target is full') }],
    });
  });

  it('goes on without knowing who crashed', () => {
    writeFileSync(machine.vmcore, 'this is no ELF file');
    const { report: account } = runCapture(config, machine, tools);
    expect(account).toMatchObject({
      state: 'complete',
      kernelRelease: null,
      crashTime: '2026-01-02T03:04:05.000Z',
    });
    expect(account.errors).toMatchObject([{ step: 'identify', code: 'unknown-format' }]);
  });

  it('says so when there is no crashed kernel', () => {
    rmSync(machine.vmcore);
    const { report: account } = runCapture({ ...config, coreCollector: ['cp'] }, machine, tools);
    expect(account.errors[0]).toMatchObject({ code: 'no-vmcore', fix: expect.stringContaining('kexec -p') });
    expect(account.state).toBe('failed');
  });

  it('does not follow a link that leads out of the target', () => {
    // /proc is another file system everywhere.
    mkdirSync(target('var'));
    symlinkSync('/proc', target('var/crash'));
    const outcome = runCapture(config, machine, tools);
    expect(outcome).toMatchObject({
      recorded: false,
      report: { errors: [{ step: 'directory', code: 'path-leaves-target' }] },
    });
  });

  it('survives a full memory: state and log are only helpers', () => {
    const full = { ...machine, stateFile: join(root, 'no/state'), logFile: join(root, 'no/log') };
    expect(runCapture(config, full, tools).report.state).toBe('complete');
  });
});

describe('the run after a capture that was killed', () => {
  /** Stops in the collector as a killed process would: with the state file and the files as they were then. */
  const killed = new Error('killed');
  function runUntilKilled(): void {
    let state = Buffer.alloc(0);
    runCapture(config, machine, {
      ...tools,
      collect: (argv) => {
        writeFileSync(argv.at(-1)!, 'part of it');
        state = readFileSync(machine.stateFile);
        throw killed;
      },
    });
    // What the orderly end has added is taken away again.
    for (const file of ['vmcore-failed.txt', 'kexec-dmesg.log']) rmSync(dump(file));
    writeFileSync(dump('reserve-incomplete'), new Uint8Array(10));
    writeFileSync(machine.stateFile, state);
    mounted = true;
    mounts = [];
  }

  it('keeps what was saved and writes down why it ended', () => {
    runUntilKilled();
    const kernelLog = () => '[    9.1] Out of memory: Killed process 101 (node) anon-rss:93108kB\n';
    const outcome = runAfterFailure(137, config, { ...machine, kernelLog }, tools);
    expect(outcome).toMatchObject({ recorded: true, directory: dump() });
    expect(mounts).toEqual([]);
    expect(readdirSync(dump()).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'vmcore-dmesg.txt',
      'vmcore-failed.txt',
      'vmcore-incomplete',
    ]);
    expect(dumpJson()).toMatchObject({
      state: 'incomplete',
      panic: 'Kernel panic - not syncing: sysrq triggered crash',
      errors: [{ step: 'collect', code: 'out-of-memory', fix: expect.stringContaining('crashkernel=') }],
    });
  });

  it('tells a capture that was stuck from one that died', () => {
    runUntilKilled();
    writeFileSync(machine.logFile, `kdump: [   99.00] ${stalledWords}\n`);
    expect(runAfterFailure(137, config, machine, tools).report.errors.at(-1)?.code).toBe('stalled');
    mounted = true;
    writeFileSync(machine.logFile, '');
    expect(runAfterFailure(134, config, machine, tools).report.errors.at(-1)?.message).toMatch(
      /killed by signal 6/,
    );
  });

  it('begins anew, without collecting, when the first run left nothing', () => {
    const outcome = runAfterFailure(127, config, machine, {
      ...tools,
      collect: () => expect.fail('collected again'),
    });
    expect(outcome.recorded).toBe(true);
    expect(readFileSync(dump('vmcore-dmesg.txt'), 'latin1')).toBe(dmesg);
    expect(dumpJson()).toMatchObject({
      state: 'failed',
      errors: [{ step: 'start', code: 'capture-died', facts: { status: 127 } }],
    });
  });

  it('does not try again to extract a log that has ended a capture', () => {
    runUntilKilled();
    rmSync(dump('vmcore-dmesg.txt'));
    writeFileSync(
      machine.stateFile,
      readFileSync(machine.stateFile, 'utf8').replace('"step":"collect"', '"step":"dmesg"'),
    );
    const outcome = runAfterFailure(139, config, machine, {
      ...tools,
      extractDmesg: () => expect.fail('extracted again'),
    });
    expect(outcome.report.errors.map(({ code }) => code)).toEqual(['capture-died']);
  });
});
