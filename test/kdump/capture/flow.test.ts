import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CaptureConfig } from '../../../src/kdump/capture/config.ts';
import { runAfterFailure, runCapture } from '../../../src/kdump/capture/flow.ts';
import type { CaptureMachine, CaptureTools } from '../../../src/kdump/capture/machine.ts';
import { stalledWords } from '../../../src/kdump/capture/paths.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { release } from '../../helpers/vmcore.ts';
import { config, dmesg, type Fake, fakeMachine, name, report } from './fake-machine.ts';

const place = `/var/crash/${name}`;
let fake: Fake;
let root: string;
let lines: string[];
let machine: CaptureMachine;
let tools: CaptureTools;
const target = (...path: string[]): string => fake.on('/dev/vda', ...path);
const dump = (...path: string[]): string => fake.dump(...path);
const dumpJson = () => fake.dumpJson();

beforeEach(() => {
  fake = fakeMachine();
  ({ root, lines, machine, tools } = fake);
});
afterEach(() => fake.remove());

describe('a capture that goes well', () => {
  it('leaves the dump, the log of the crashed kernel, its own log and an account', async () => {
    let argv: readonly string[] = [];
    let marker: { state: string } | undefined;
    const outcome = await runCapture(config, machine, {
      ...tools,
      collect: (given, hooks) => {
        argv = given;
        marker = dumpJson();
        expect(existsSync(dump('vmcore-dmesg.txt'))).toBe(true);
        fake.clock += 4;
        return tools.collect(given, hooks, {});
      },
    });
    expect(outcome).toMatchObject({ recorded: true, directory: place });
    expect(readdirSync(dump()).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'vmcore',
      'vmcore-dmesg.txt',
    ]);
    expect(argv).toEqual([
      '-l',
      '-d',
      '31',
      machine.boot.vmcore,
      join(machine.mountPoint, place, 'vmcore-incomplete'),
    ]);
    expect(marker).toMatchObject({
      state: 'incomplete',
      kernelRelease: release,
      panic: 'Kernel panic - not syncing: sysrq triggered crash',
    });
    expect(readFileSync(dump('vmcore-dmesg.txt'), 'latin1')).toBe(dmesg);
    expect(fake.events).toEqual(['mount /dev/vda ext4 noatime', 'unmount', 'action reboot']);

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
    expect(steps).toEqual(['identify', 'reach', 'directory', 'marker', 'dmesg', 'collect', 'checksum']);
    expect(dumpJson().steps.at(-2)).toEqual({ name: 'collect', began: 3, seconds: 4 });
  });

  it('lets only root read what it saved', async () => {
    await runCapture(config, machine, tools);
    expect(statSync(dump()).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(dump())) expect(statSync(dump(file)).mode & 0o777, file).toBe(0o600);
  });

  it('says each step with its time and keeps what it said beside the kernel log', async () => {
    writeFileSync(machine.logFile, 'kdump: [    1.00] said by init\n');
    await runCapture(config, machine, tools);
    expect(lines).toContain('kdump: [    3.00] two');
    for (const line of lines) expect(line).toMatch(/^kdump: \[ *\d+\.\d\d\] \S/);
    const saved = readFileSync(dump('kexec-dmesg.log'), 'utf8');
    expect(saved).toMatch(/^kdump: \[ {4}1\.00\] said by init\n/);
    expect(saved).toContain('capture complete');
    expect(saved).toMatch(/\n\[ {4}0\.000000\] Linux version 6\.1\.0-capture\n$/);
  });

  it('copies the vmcore whole when the collector is cp', async () => {
    await runCapture({ ...config, coreCollector: ['cp'] }, machine, tools);
    expect(readFileSync(dump('vmcore')).equals(readFileSync(machine.boot.vmcore))).toBe(true);
    expect(dumpJson()).toMatchObject({
      state: 'complete',
      collector: 'cp',
      report: { bytes: statSync(machine.boot.vmcore).size },
    });
  });

  it('shows progress every few seconds and promises a sign of life each time', async () => {
    await runCapture(config, machine, {
      ...tools,
      collect: (argv, hooks) => {
        for (let second = 0; second <= 20; second++) {
          for (let call = 0; call < 10; call++) hooks.progress('Copying data', second, 20);
          fake.clock += 1;
        }
        return tools.collect(argv, hooks, {});
      },
    });
    const shown = lines.filter((line) => line.includes('Copying data'));
    expect(shown).toHaveLength(4);
    expect(shown[0]).toMatch(/Copying data +: \[ {1,2}\d+\.\d %\] .* eta: \d+s$/);
    expect(fake.promises.length).toBeGreaterThanOrEqual(20);
  });

  it('does not write into a directory that is there already', async () => {
    mkdirSync(dump(), { recursive: true });
    expect((await runCapture(config, machine, tools)).directory).toBe(`${place}-2`);
    expect(readdirSync(dump())).toEqual([]);
  });
});

describe('a target that somebody else has mounted', () => {
  let given: CaptureConfig;
  beforeEach(() => {
    mkdirSync(target(), { recursive: true });
    given = { ...config, targets: [{ kind: 'mounted', mountPoint: target() }] };
    machine = {
      ...machine,
      isMounted: () => true,
      findDevice: () => expect.fail('looked for a device'),
      mount: () => expect.fail('mounted'),
      unmount: () => expect.fail('unmounted'),
    };
  });

  it('is used as it is and left mounted', async () => {
    expect(await runCapture(given, machine, tools)).toMatchObject({ recorded: true, directory: place });
    expect(dumpJson()).toMatchObject({ state: 'complete', errors: [] });
    const steps = dumpJson().steps.map((step: { name: string }) => step.name);
    expect(steps).toEqual(['identify', 'reach', 'directory', 'marker', 'dmesg', 'collect', 'checksum']);
  });

  it('is missed when nothing is mounted there: a dump in the root of the initramfs would be lost', async () => {
    machine = { ...machine, isMounted: () => false };
    const outcome = await runCapture(given, machine, tools);
    expect(outcome).toMatchObject({
      recorded: false,
      report: { errors: [{ step: 'reach', code: 'not-mounted' }] },
    });
    expect(readdirSync(target())).toEqual([]);
  });

  it('gets the account of a capture that died', async () => {
    expect(await runAfterFailure(137, given, machine, tools)).toMatchObject({
      recorded: true,
      directory: place,
    });
    expect(dumpJson()).toMatchObject({ state: 'failed', errors: [{ code: 'capture-died' }] });
  });
});

describe('a capture that fails', () => {
  it('waits for the device for as long as it should, then says how to help', async () => {
    const outcome = await runCapture(config, { ...machine, findDevice: () => undefined }, tools);
    expect(outcome).toMatchObject({ recorded: false, directory: null });
    expect(outcome.report.errors).toMatchObject([
      { step: 'reach', code: 'device-missing', message: expect.stringContaining('within 30 s') },
    ]);
    expect(fake.clock).toBeGreaterThanOrEqual(33);
    expect(fake.clock).toBeLessThan(34);
    expect(lines.some((line) => line.includes('--add-drivers'))).toBe(true);
  });

  it('takes a device that appears late', async () => {
    const late = { ...machine, findDevice: (device: string) => (fake.clock > 20 ? device : undefined) };
    expect((await runCapture(config, late, tools)).report.state).toBe('complete');
  });

  it('tries nothing more when the target cannot be mounted', async () => {
    const outcome = await runCapture(
      config,
      {
        ...machine,
        mount: () => {
          throw new KdumpError('mount', 'no such file system');
        },
      },
      tools,
    );
    expect(outcome).toMatchObject({ recorded: false, report: { errors: [{ step: 'reach' }] } });
    expect(existsSync(target())).toBe(false);
  });

  it('still saves the dump when the log cannot be extracted', async () => {
    await runCapture(config, machine, {
      ...tools,
      extractDmesg: () => {
        throw new KdumpError('no-log', 'the log cannot be found');
      },
    });
    expect(readdirSync(dump()).sort()).toEqual(['dump.json', 'kexec-dmesg.log', 'vmcore']);
    expect(dumpJson()).toMatchObject({ state: 'complete', errors: [{ step: 'dmesg', code: 'no-log' }] });
  });

  it('saves logs and the cause when the collector fails before it writes anything', async () => {
    const outcome = await runCapture(config, machine, {
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

  it('keeps what was written under its incomplete name when the target is full, and has room for the account', async () => {
    await runCapture(config, machine, {
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

  it('goes on without knowing who crashed', async () => {
    writeFileSync(machine.boot.vmcore, 'this is no ELF file');
    const { report: account } = await runCapture(config, machine, tools);
    expect(account).toMatchObject({
      state: 'complete',
      kernelRelease: null,
      crashTime: '2026-01-02T03:04:05.000Z',
    });
    expect(account.errors).toMatchObject([{ step: 'identify', code: 'unknown-format' }]);
  });

  it('says so when there is no crashed kernel', async () => {
    rmSync(machine.boot.vmcore);
    const { report: account } = await runCapture({ ...config, coreCollector: ['cp'] }, machine, tools);
    expect(account.errors[0]).toMatchObject({ code: 'no-vmcore', fix: expect.stringContaining('kexec -p') });
    expect(account.state).toBe('failed');
  });

  it('does not follow a link that leads out of the target', async () => {
    // /proc is another file system everywhere.
    mkdirSync(target('var'), { recursive: true });
    symlinkSync('/proc', target('var/crash'));
    const outcome = await runCapture(config, machine, tools);
    expect(outcome).toMatchObject({
      recorded: false,
      report: { errors: [{ step: 'directory', code: 'path-leaves-target' }] },
    });
  });

  it('survives a full memory: state and log are only helpers', async () => {
    const full = { ...machine, stateFile: join(root, 'no/state'), logFile: join(root, 'no/log') };
    expect((await runCapture(config, full, tools)).report.state).toBe('complete');
  });
});

describe('the run after a capture that was killed', () => {
  /** Stops in the collector as a killed process would: with the state file and the files as they were then. */
  const killed = new Error('killed');
  const emptyMountPoint = (): string => {
    mkdirSync(machine.mountPoint);
    return machine.mountPoint;
  };
  async function runUntilKilled(): Promise<void> {
    let state = Buffer.alloc(0);
    await runCapture(config, machine, {
      ...tools,
      collect: (argv, hooks) => {
        writeFileSync(argv.at(-1)!, 'part of it');
        fake.clock += 6;
        hooks.progress('Copying data', 1, 4);
        state = readFileSync(machine.stateFile);
        throw killed;
      },
    });
    // What the orderly end has added is taken away again.
    for (const file of ['vmcore-failed.txt', 'kexec-dmesg.log']) rmSync(dump(file));
    writeFileSync(dump('reserve-incomplete'), new Uint8Array(10));
    writeFileSync(machine.stateFile, state);
    machine.mount('/dev/vda', emptyMountPoint(), 'ext4', '');
    fake.events.length = 0;
  }

  it('does not take the end of a program that was to go first for its own', async () => {
    await runUntilKilled();
    const kernelLog = () =>
      '[ 9.1] Out of memory: Killed process 99 (node) anon-rss:9kB, oom_score_adj:1000\n';
    const { report } = await runAfterFailure(137, config, { ...machine, kernelLog }, tools);
    expect(report.errors).toMatchObject([{ code: 'capture-died' }]);
  });

  it('keeps what was saved and writes down why it ended', async () => {
    await runUntilKilled();
    const kernelLog = () => '[    9.1] Out of memory: Killed process 101 (node) anon-rss:93108kB\n';
    const outcome = await runAfterFailure(137, config, { ...machine, kernelLog }, tools);
    expect(outcome).toMatchObject({ recorded: true, directory: place });
    expect(fake.events).toEqual(['unmount', 'action reboot']);
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
      targets: [{ state: 'incomplete', bytes: 10, expected: 40, error: { code: 'out-of-memory' } }],
    });
  });

  it('tells a capture that was stuck from one that died', async () => {
    await runUntilKilled();
    writeFileSync(machine.logFile, `kdump: [   99.00] ${stalledWords}\n`);
    expect((await runAfterFailure(137, config, machine, tools)).report.errors.at(-1)?.code).toBe('stalled');
    machine.mount('/dev/vda', emptyMountPoint(), 'ext4', '');
    writeFileSync(machine.logFile, '');
    expect((await runAfterFailure(134, config, machine, tools)).report.errors.at(-1)?.message).toMatch(
      /killed by signal 6/,
    );
  });

  it('begins anew, without collecting, when the first run left nothing', async () => {
    const outcome = await runAfterFailure(127, config, machine, {
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

  it('does not try again to extract a log that has ended a capture', async () => {
    await runUntilKilled();
    rmSync(dump('vmcore-dmesg.txt'));
    writeFileSync(
      machine.stateFile,
      readFileSync(machine.stateFile, 'utf8').replace('"step":"collect"', '"step":"dmesg"'),
    );
    const outcome = await runAfterFailure(139, config, machine, {
      ...tools,
      extractDmesg: () => expect.fail('extracted again'),
    });
    expect(outcome.report.errors.map(({ code }) => code)).toEqual(['capture-died']);
  });
});
