import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CaptureConfig } from '../../../src/kdump/capture/config.ts';
import { runAfterFailure, runCapture } from '../../../src/kdump/capture/flow.ts';
import type { CaptureMachine } from '../../../src/kdump/capture/machine.ts';
import type { DumpReport } from '../../../src/kdump/capture/report.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { device, dmesg, type Fake, fakeMachine, name, config as plain, summary } from './fake-machine.ts';

let fake: Fake;
beforeEach(() => {
  fake = fakeMachine();
});
afterEach(() => fake.remove());

const config: CaptureConfig = { ...plain, home: { ...device('root'), path: '/var/lib/kdump/crashes' } };
const home = (...file: string[]): string => fake.on('/dev/root', 'var/lib/kdump/crashes', ...file);
const account = (directory = name): DumpReport =>
  JSON.parse(readFileSync(home(directory, 'dump.json'), 'utf8'));
const without = (...missing: string[]): Partial<CaptureMachine> => ({
  findDevice: (found) => (missing.includes(found) ? undefined : found),
});
const run = (machine: Partial<CaptureMachine> = {}, tools: Partial<Fake['tools']> = {}) =>
  runCapture(config, { ...fake.machine, ...machine }, { ...fake.tools, ...tools });

it('has the account of a dump that is elsewhere, and nothing else', async () => {
  await run();
  expect(readdirSync(home(name))).toEqual(['dump.json']);
  expect(account()).toMatchObject({
    copy: true,
    state: 'complete',
    action: 'reboot',
    targets: [{ target: '/dev/vda', directory: `/var/crash/${name}`, file: 'vmcore' }],
    errors: [],
    files: {},
  });
  expect(fake.dumpJson()).not.toHaveProperty('copy');
});

it('is touched last, and left', async () => {
  await run();
  expect(fake.events).toEqual([
    'mount /dev/vda ext4 noatime',
    'unmount',
    'mount /dev/root ext4 noatime',
    'unmount',
    'action reboot',
  ]);
});

it('has the logs when no target can be reached, and that counts as recorded', async () => {
  const outcome = await run(without('/dev/vda'));
  expect(outcome).toMatchObject({ recorded: true, report: { panic: expect.stringContaining('sysrq') } });
  expect(readdirSync(home(name)).sort()).toEqual(['dump.json', 'kexec-dmesg.log', 'vmcore-dmesg.txt']);
  expect(readFileSync(home(name, 'vmcore-dmesg.txt'), 'latin1')).toBe(dmesg);
  expect(account()).toMatchObject({ state: 'failed', targets: [{ error: { code: 'device-missing' } }] });
});

it('has the report, too, whether it is made already or not', async () => {
  const reports = { ...config, report: true };
  const collect = (): never => {
    throw new KdumpError('ssh', 'the server has gone');
  };
  await runCapture(reports, { ...fake.machine, ...without('/dev/vda') }, fake.tools);
  await runCapture(reports, fake.machine, { ...fake.tools, collect });
  for (const directory of [name, `${name}-2`])
    expect(readdirSync(home(directory))).toEqual(expect.arrayContaining(['report.html', 'report.json']));
  expect(account().summary).toBe(summary);
});

it('has the account even when what follows ends the capture', async () => {
  let before: DumpReport | undefined;
  const extractDmesg = (): string => {
    before = account();
    return dmesg;
  };
  await run(without('/dev/vda'), { extractDmesg });
  expect(before).toMatchObject({ copy: true, state: 'failed', targets: [{ target: '/dev/vda' }] });
});

it('knows of a dump that was begun', async () => {
  const collect = (argv: readonly string[]): never => {
    writeFileSync(argv.at(-1)!, 'part');
    throw new KdumpError('ssh', 'the server has gone');
  };
  await run({}, { collect });
  expect(account()).toMatchObject({ state: 'incomplete', targets: [{ bytes: 4 }] });
  // The crashed kernel's log is on the target.
  expect(readdirSync(home(name)).sort()).toEqual(['dump.json', 'kexec-dmesg.log']);
});

it('is found by the name of a test', async () => {
  await run({ boot: { ...fake.machine.boot, testId: '42' } });
  expect(account('kdump-test-42').state).toBe('complete');
});

it('has the account without a log that cannot be extracted', async () => {
  const extractDmesg = (): never => {
    throw new KdumpError('no-log', 'the log cannot be found');
  };
  await run(without('/dev/vda'), { extractDmesg });
  expect(account().errors).toMatchObject([{ step: 'reach' }, { step: 'home', code: 'no-log' }]);
});

it('does not get its account written to a target that cannot be unmounted', async () => {
  const unmount = (): never => {
    throw new KdumpError('mount', 'busy');
  };
  await run({ unmount });
  expect(fake.events).toContain('unmount by force');
  expect(existsSync(fake.on('/dev/vda', 'var/lib'))).toBe(false);
  expect(account().state).toBe('complete');
});

it('that is missing changes nothing for the dump', async () => {
  const outcome = await run(without('/dev/root'));
  expect(outcome).toMatchObject({ recorded: true, directory: `/var/crash/${name}` });
  expect(fake.dumpJson()).toMatchObject({ state: 'complete', errors: [] });
});

it('is not tried again when it has ended a capture', async () => {
  let left = Buffer.alloc(0);
  const mount: CaptureMachine['mount'] = (source, ...rest) => {
    if (source === '/dev/root') left = readFileSync(fake.machine.stateFile);
    fake.machine.mount(source, ...rest);
  };
  await run({ mount });
  writeFileSync(fake.machine.stateFile, left);
  fake.events.length = 0;
  const outcome = await runAfterFailure(137, config, fake.machine, fake.tools);
  expect(outcome.recorded).toBe(true);
  expect(fake.events.filter((event) => event.startsWith('mount'))).toEqual(['mount /dev/vda ext4 noatime']);
});
