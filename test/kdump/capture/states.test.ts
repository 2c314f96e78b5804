import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CaptureConfig } from '../../../src/kdump/capture/config.ts';
import { runAfterFailure, runCapture } from '../../../src/kdump/capture/flow.ts';
import type { CaptureMachine } from '../../../src/kdump/capture/machine.ts';
import { stalledWords } from '../../../src/kdump/capture/paths.ts';
import { states } from '../../../src/kdump/capture/states.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { device, type Fake, fakeMachine, name, config as plain, report } from './fake-machine.ts';

let fake: Fake;
beforeEach(() => {
  fake = fakeMachine();
});
afterEach(() => fake.remove());

const two: CaptureConfig = { ...plain, targets: [device('vda'), device('vdb')] };
/** A collector that cannot write to these devices. */
const refusing =
  (...sources: string[]) =>
  (argv: readonly string[]): unknown => {
    const mounted = fake.events.findLast((event) => event.startsWith('mount'));
    if (sources.some((source) => mounted?.includes(source)))
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    writeFileSync(argv.at(-1)!, 'KDUMP   ');
    return report;
  };
const run = (config: CaptureConfig, machine: Partial<CaptureMachine> = {}, collect = refusing()) =>
  runCapture(config, { ...fake.machine, ...machine }, { ...fake.tools, collect });
const runs = (): string[] => fake.events.filter((event) => /^(run|start|shell|network|post)/.test(event));

describe('several targets', () => {
  it('stops at the first that works', async () => {
    const { report } = await run(two);
    expect(report.targets).toMatchObject([
      {
        target: '/dev/vda',
        kind: 'filesystem',
        state: 'complete',
        file: 'vmcore',
        bytes: 8,
        expected: 8,
        error: null,
      },
    ]);
    expect(report.targets[0]!.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(existsSync(fake.on('/dev/vdb'))).toBe(false);
  });

  it('goes to the next when one is full, and leaves the account on both', async () => {
    const outcome = await run(two, {}, refusing('/dev/vda'));
    expect(outcome).toMatchObject({ recorded: true, action: 'reboot' });
    expect(fake.dumpJson('/dev/vda')).toMatchObject({
      state: 'failed',
      targets: [{ target: '/dev/vda', state: 'failed', error: { step: 'collect', code: 'ENOSPC' } }],
    });
    expect(fake.dumpJson('/dev/vdb')).toMatchObject({
      state: 'complete',
      targets: [{ state: 'failed' }, { target: '/dev/vdb', state: 'complete' }],
    });
    expect(readdirSync(fake.on('/dev/vdb', 'var/crash', name)).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'vmcore',
      'vmcore-dmesg.txt',
    ]);
    expect(readFileSync(fake.dump('vmcore-failed.txt'), 'utf8')).toContain('the target is full');
  });

  it('goes to the next when one cannot be reached', async () => {
    const findDevice = (found: string) => (found === '/dev/vda' ? undefined : found);
    const { report } = await run(two, { findDevice });
    expect(report.targets).toMatchObject([
      { state: 'failed', error: { step: 'reach', code: 'device-missing' } },
      { state: 'complete' },
    ]);
  });

  it('writes the account to the one with the log when none gets the dump and the last is not there', async () => {
    const findDevice = (found: string) => (found === '/dev/vdb' ? undefined : found);
    const outcome = await run(two, { findDevice }, refusing('/dev/vda'));
    expect(outcome).toMatchObject({ recorded: true, directory: `/var/crash/${name}` });
    expect(fake.dumpJson().targets).toMatchObject([
      { state: 'failed' },
      { error: { code: 'device-missing' } },
    ]);
  });

  it('has a path of its own for each', async () => {
    await run({ ...plain, targets: [{ ...device('vda'), path: '/crash' }] });
    expect(existsSync(fake.on('/dev/vda', 'crash', name, 'vmcore'))).toBe(true);
  });
});

describe('a target that stalls', () => {
  /** What is left of a capture that was ended while it wrote to the first target. */
  async function runUntilStalled(config: CaptureConfig): Promise<void> {
    let state = Buffer.alloc(0);
    const collect = (argv: readonly string[]): unknown => {
      writeFileSync(argv.at(-1)!, 'part of it');
      state = readFileSync(fake.machine.stateFile);
      throw new Error('ended');
    };
    await run({ ...config, targets: [config.targets[0]] }, { unmount: () => {} }, collect);
    writeFileSync(fake.machine.stateFile, state);
    writeFileSync(fake.machine.logFile, `kdump: [   99.00] ${stalledWords}\n`);
    fake.events.length = 0;
  }

  it('is left, and the next one gets the dump', async () => {
    await runUntilStalled(two);
    const outcome = await runAfterFailure(137, two, fake.machine, fake.tools);
    expect(fake.events[0]).toBe('unmount by force');
    expect(outcome.report.targets).toMatchObject([
      { target: '/dev/vda', error: { code: 'stalled' } },
      { target: '/dev/vdb', state: 'complete' },
    ]);
    expect(existsSync(fake.on('/dev/vdb', 'var/crash', name, 'vmcore'))).toBe(true);
  });

  it('gets the account when there is no other', async () => {
    await runUntilStalled(plain);
    const outcome = await runAfterFailure(137, plain, fake.machine, fake.tools);
    expect(outcome).toMatchObject({ recorded: true, directory: `/var/crash/${name}` });
    expect(fake.dumpJson()).toMatchObject({ state: 'incomplete', errors: [{ code: 'stalled' }] });
  });

  it('does not keep a capture that has run out of time from ending', async () => {
    const hurried = { ...two, captureSeconds: 60 };
    await runUntilStalled(hurried);
    fake.clock = 99;
    const outcome = await runAfterFailure(137, hurried, fake.machine, fake.tools);
    expect(outcome.report.targets).toHaveLength(1);
    expect(outcome.recorded).toBe(true);
  });
});

describe('bounds', () => {
  it('ends the dump at the deadline and goes to no other target', async () => {
    const collect: Fake['tools']['collect'] = (argv, hooks) => {
      writeFileSync(argv.at(-1)!, 'some');
      for (let done = 1; done <= 100; done++) {
        fake.clock += 10;
        hooks.progress('Copying data', done, 100);
      }
      return report;
    };
    const outcome = await runCapture({ ...two, captureSeconds: 100 }, fake.machine, {
      ...fake.tools,
      collect,
    });
    expect(fake.clock).toBeLessThan(120);
    expect(outcome.report.targets).toMatchObject([
      // After 10 of 100 parts there are 4 bytes.
      { state: 'incomplete', bytes: 4, expected: 40, error: { code: 'deadline' } },
    ]);
    expect(outcome.report.targets).toHaveLength(1);
    expect(Math.min(...fake.promises)).toBeGreaterThanOrEqual(10);
  });

  it('promises a sign of life within the time that a target may take nothing', async () => {
    const collect: Fake['tools']['collect'] = (argv, hooks) => {
      fake.promises.length = 0;
      fake.clock += 2;
      hooks.progress('Copying data', 1, 2);
      expect(fake.promises).toEqual([90]);
      return refusing()(argv);
    };
    await runCapture({ ...plain, stallSeconds: 30 }, fake.machine, { ...fake.tools, collect });
  });

  it('does not begin a dump that would leave too little space, but saves the log', async () => {
    const { report: account } = await run({ ...two, minFree: { percent: 100 } });
    expect(account.targets.map(({ state, error }) => [state, error?.code])).toEqual([
      ['failed', 'min-free'],
      ['failed', 'min-free'],
    ]);
    expect(existsSync(fake.dump('vmcore-dmesg.txt'))).toBe(true);
  });

  it('tells the collector how large the dump may become', async () => {
    let limit: number | undefined;
    const collect: Fake['tools']['collect'] = (argv, _, to) => {
      limit = to.limit;
      return refusing()(argv);
    };
    await runCapture({ ...plain, minFree: { bytes: 1 << 20 } }, fake.machine, { ...fake.tools, collect });
    expect(limit).toBeGreaterThan(0);
    expect(limit).toBeLessThanOrEqual(fake.dumpJson().targetFreeBytes! - (1 << 20) + (64 << 20));
  });

  it('says that a dump ended at that size, and not that the target is full', async () => {
    const collect: Fake['tools']['collect'] = (argv) => {
      writeFileSync(argv.at(-1)!, 'as much as fits');
      throw new KdumpError('no-space', 'no space left after 15 bytes');
    };
    const tools = { ...fake.tools, collect };
    await runCapture({ ...plain, minFree: { bytes: 1 << 20 } }, fake.machine, tools);
    const message = expect.stringContaining('1.0 MiB are to be left (min_free)');
    expect(fake.dumpJson().targets).toMatchObject([
      { state: 'incomplete', error: { code: 'min-free', message } },
    ]);
  });
});

describe('programs around the dump', () => {
  const hooks = { pre: ['/bin/pre'], post: ['/bin/post'], emergency: ['/bin/help'] };

  it('run before and after a dump that is saved', async () => {
    await run({ ...plain, hooks });
    expect(runs()).toEqual(['run /bin/pre', 'run /bin/post 0']);
    expect(fake.dumpJson().hooks).toEqual([
      { when: 'pre', program: '/bin/pre', status: 0 },
      { when: 'post', program: '/bin/post', status: 0 },
    ]);
  });

  it('are told that it failed, and emergency programs come before the failure action', async () => {
    const outcome = await run({ ...plain, hooks, failureAction: 'halt' }, {}, refusing('/dev/vda'));
    expect(runs()).toEqual(['run /bin/pre', 'run /bin/post 1', 'run /bin/help']);
    expect(outcome.action).toBe('halt');
    expect(fake.events.at(-1)).toBe('action halt');
    expect(fake.dumpJson().action).toBe('halt');
  });

  it('refuse the dump: then there is the log and the final action, and no failure action', async () => {
    const machine = { run: () => ({ status: 3, said: 'not today' }) };
    const outcome = await run({ ...two, hooks, failureAction: 'halt' }, machine);
    expect(outcome).toMatchObject({ action: 'reboot', recorded: true });
    expect(readdirSync(fake.dump()).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'vmcore-dmesg.txt',
      'vmcore-failed.txt',
    ]);
    expect(fake.dumpJson()).toMatchObject({
      state: 'failed',
      targets: [{ state: 'skipped' }],
      errors: [{ step: 'pre', code: 'refused' }],
    });
    expect(readFileSync(fake.dump('kexec-dmesg.log'), 'utf8')).toContain('not today');
  });

  it('of pre.d only warn', async () => {
    const machine = { run: () => ({ status: 3, said: '' }) };
    await run({ ...plain, hooks: { ...hooks, pre: ['/etc/kdump/pre.d/10-look'], post: [] } }, machine);
    expect(fake.dumpJson().state).toBe('complete');
  });

  it('that do not end are noted and change nothing', async () => {
    const machine: Partial<CaptureMachine> = {
      run: (program) => {
        throw new KdumpError('timed-out', `${program} did not end within 300 s`);
      },
    };
    await run({ ...plain, hooks: { ...hooks, pre: [] } }, machine);
    expect(fake.dumpJson()).toMatchObject({
      state: 'complete',
      hooks: [{ program: '/bin/post', status: null }],
      errors: [{ step: 'post', code: 'timed-out' }],
    });
  });
});

describe('failure actions', () => {
  it('a shell, then the final action', async () => {
    const outcome = await run(
      { ...plain, failureAction: 'shell', finalAction: 'poweroff' },
      {},
      refusing('/dev/vda'),
    );
    expect(runs()).toEqual(['shell']);
    expect(outcome.action).toBe('poweroff');
  });

  it('the root file system gets the dump', async () => {
    const rootfs = { ...device('root'), path: '/var/crash' };
    const outcome = await run(
      { ...plain, failureAction: 'dump_to_rootfs', rootfs },
      {},
      refusing('/dev/vda'),
    );
    expect(fake.dumpJson('/dev/root')).toMatchObject({
      state: 'complete',
      targets: [{ state: 'failed' }, { target: '/dev/root', state: 'complete' }],
    });
    expect(outcome.action).toBe('reboot');
  });

  it('is over when the root file system does not take it either', async () => {
    const config: CaptureConfig = { ...plain, failureAction: 'dump_to_rootfs', rootfs: device('root') };
    const outcome = await run(config, {}, refusing('/dev/vda', '/dev/root'));
    expect(outcome).toMatchObject({ recorded: true, action: 'reboot' });
    expect(outcome.report.targets).toHaveLength(2);
  });
});

describe('the world outside', () => {
  const network = { remotes: [], links: [], routes: [] };
  const fence = { program: '/sbin/fence_kdump_send', args: ['-i', '5'], nodes: ['n1', 'n2'] };
  const notifications = [
    { when: 'capture', how: 'post', to: 'http://x/' },
    { when: 'capture', how: 'exec', to: '/bin/tell' },
  ] as const;

  it('is told, over the network, once the dump is safe', async () => {
    await run({ ...plain, network, fence, notifications });
    expect(runs()).toEqual([
      'network',
      'start /sbin/fence_kdump_send -i 5 n1 n2',
      'post http://x/',
      'run /bin/tell',
    ]);
  });

  it('does not keep the dump from being saved', async () => {
    const fails = (): never => {
      throw new KdumpError('post-failed', 'nobody is there');
    };
    await run(
      { ...plain, network, fence, notifications },
      { bringUpNetwork: fails, start: fails, post: fails },
    );
    expect(fake.dumpJson()).toMatchObject({
      state: 'complete',
      errors: [{ step: 'network' }, { step: 'fence' }, { step: 'notify' }],
    });
  });

  it('hears nothing of a rehearsal', async () => {
    const boot = { ...fake.machine.boot, rehearsal: true };
    const hooks = { pre: ['/bin/pre'], post: ['/bin/post'], emergency: [] };
    await run({ ...plain, fence, notifications, hooks }, { boot });
    expect(runs()).toEqual([]);
    expect(fake.dumpJson()).toMatchObject({ state: 'complete', rehearsal: true });
  });
});

describe('a test', () => {
  const at = (file: string): string => fake.on('/dev/vda', 'var/crash/kdump-test-42', file);
  const status = (): string => readFileSync(at('vmcore-creation.status'), 'utf8');
  const withTest = () => ({ boot: { ...fake.machine.boot, testId: '42' } });

  it('says success where kdumpctl looks for it, and "fail" before', async () => {
    let before = '';
    await run(plain, withTest(), (argv) => {
      before = status();
      return refusing()(argv);
    });
    expect(before).toBe('fail kdump_test_id=42\n');
    expect(status()).toBe('success kdump_test_id=42\n');
    expect(existsSync(at('vmcore'))).toBe(true);
  });

  it('says fail when there is no dump', async () => {
    await run(plain, withTest(), refusing('/dev/vda'));
    expect(status()).toBe('fail kdump_test_id=42\n');
  });
});

describe('older dumps', () => {
  const retention = { ...plain.retention, count: 2 };
  it.each([
    [['/dev/vda'], []],
    [[], ['old']],
  ])('go only when the new one is saved', async (full, removed) => {
    const asked: string[] = [];
    const retain = (directory: string) => {
      asked.push(directory);
      expect(existsSync(fake.dump('vmcore'))).toBe(true);
      expect(fake.dumpJson().state).toBe('complete');
      return ['old'];
    };
    const tools = { ...fake.tools, collect: refusing(...full), retain };
    const outcome = await runCapture({ ...plain, retention }, fake.machine, tools);
    expect(outcome.report.removed).toEqual(removed);
    expect(asked).toHaveLength(removed.length);
  });
});

it('every road through the table comes to its end and leaves an account where that is possible', async () => {
  const failing = fc.subarray([
    'network',
    'fence',
    'pre',
    'device',
    'mount',
    'dmesg',
    'report',
    'collect',
    'retain',
    'post',
    'shell',
    'rootfs',
    'home',
  ]);
  const actions = fc.constantFrom('reboot', 'halt', 'shell', 'dump_to_rootfs');
  expect(Object.keys(states)).toContain('record');
  const names: Record<string, string> = { '/dev/root': 'rootfs', '/dev/home': 'home' };
  const ours = Object.keys(names);
  await fc.assert(
    fc.asyncProperty(failing, actions, async (broken, failureAction) => {
      const one = fakeMachine();
      const unless =
        <A extends unknown[], R>(what: string, action: (...args: A) => R) =>
        (...args: A): R => {
          if (broken.includes(what)) throw new KdumpError('broken', what);
          return action(...args);
        };
      const { machine, tools } = one;
      const config: CaptureConfig = {
        ...two,
        report: true,
        failureAction: failureAction as CaptureConfig['failureAction'],
        rootfs: failureAction === 'dump_to_rootfs' ? device('root') : null,
        home: { ...device('home'), path: '/accounts' },
        network: { remotes: [], links: [], routes: [] },
        fence: { program: '/f', args: [], nodes: ['n'] },
        hooks: { pre: ['/pre'], post: ['/post'], emergency: ['/e'] },
        retention: { ...two.retention, count: 1 },
      };
      const outcome = await runCapture(
        config,
        {
          ...machine,
          bringUpNetwork: unless('network', machine.bringUpNetwork),
          start: unless('fence', machine.start),
          run: (program, args) => unless(program.slice(1), machine.run)(program, args, 1),
          findDevice: (found) => (broken.includes('device') && !ours.includes(found) ? undefined : found),
          mount: (source, ...rest) => unless(names[source] ?? 'mount', machine.mount)(source, ...rest),
          shell: unless('shell', machine.shell),
        },
        {
          ...tools,
          extractDmesg: unless('dmesg', tools.extractDmesg),
          makeReport: unless('report', tools.makeReport),
          collect: unless('collect', tools.collect),
          retain: unless('retain', tools.retain),
        },
      );
      const reachable = !broken.includes('device') && !broken.includes('mount');
      if (reachable || !broken.includes('home')) expect(outcome.recorded).toBe(true);
      const accounts = join(one.root, 'fs/_dev_home/accounts');
      expect(existsSync(accounts)).toBe(!broken.includes('home'));
      if (reachable && !broken.includes('collect') && !broken.includes('pre'))
        expect(outcome.report.targets.at(-1)?.state).toBe('complete');
      expect(one.events.filter((event) => event.startsWith('action'))).toHaveLength(1);
      expect(one.events.filter((event) => event.startsWith('mount')).length).toBe(
        one.events.filter((event) => event.startsWith('unmount')).length,
      );
      one.remove();
    }),
    { numRuns: 60 },
  );
});
