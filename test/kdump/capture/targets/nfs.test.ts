import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CaptureConfig } from '../../../../src/kdump/capture/config.ts';
import { runCapture } from '../../../../src/kdump/capture/flow.ts';
import { DirectoryTarget } from '../../../../src/kdump/capture/targets/directory-target.ts';
import { KdumpError } from '../../../../src/lib/errors.ts';
import { type Fake, fakeMachine, config as plain } from '../fake-machine.ts';

let fake: Fake;
beforeEach(() => {
  fake = fakeMachine();
});
afterEach(() => fake.remove());

const network = {
  remotes: [{ name: 'store', address: '10.0.0.9', source: '10.0.0.5' }],
  links: [],
  routes: [],
};
const nfs = { kind: 'nfs', server: 'store', export: '/srv/crash', mountOptions: '' } as const;
const config = (change: Partial<typeof nfs> | { mountOptions: string }): CaptureConfig => ({
  ...plain,
  targets: [{ ...nfs, ...change }],
  network,
});
const mounts = (): string[] => fake.events.filter((event) => event.startsWith('mount '));

describe('an NFS target', () => {
  it('is mounted by the kernel alone, and answers within a bound or not at all', async () => {
    await runCapture(config({}), fake.machine, fake.tools);
    expect(mounts()).toEqual([
      'mount store:/srv/crash nfs vers=4.2,soft,timeo=100,retrans=2,addr=10.0.0.9,clientaddr=10.0.0.5',
    ]);
  });

  it('keeps the options of the settings, but for those that would wait for ever', async () => {
    await runCapture(
      config({ mountOptions: 'hard,bg,nfsvers=3,rsize=65536,timeo=600' }),
      fake.machine,
      fake.tools,
    );
    expect(mounts()).toEqual([
      'mount store:/srv/crash nfs rsize=65536,vers=3,soft,timeo=100,retrans=2,nolock,addr=10.0.0.9,clientaddr=10.0.0.5',
    ]);
  });

  it('is tried by older versions when the server does not know the newer', async () => {
    const tried: string[] = [];
    const mount = (source: string, directory: string, fstype: string, options: string): void => {
      tried.push(/vers=([\d.]+)/.exec(options)![1]!);
      if (tried.length < 4) throw new KdumpError('mount', 'no', { facts: { errno: 'EPROTONOSUPPORT' } });
      fake.machine.mount(source, directory, fstype, options);
    };
    const { report } = await runCapture(config({}), { ...fake.machine, mount }, fake.tools);
    expect(tried).toEqual(['4.2', '4.1', '4.0', '3']);
    expect(report.state).toBe('complete');
  });

  it('that refuses is asked once', async () => {
    let tried = 0;
    const mount = (): void => {
      tried++;
      throw new KdumpError('mount', 'no', { facts: { errno: 'EACCES' } });
    };
    await runCapture(config({}), { ...fake.machine, mount }, fake.tools);
    expect(tried).toBe(1);
  });

  it('that cannot be reached yet is tried for a while', async () => {
    const mountWhenUp = (at: number, errno: string) => ({
      ...fake.machine,
      mount: (...args: Parameters<typeof fake.machine.mount>): void => {
        if (fake.clock < at) throw new KdumpError('mount', `no (${errno})`, { facts: { errno } });
        fake.machine.mount(...args);
      },
    });
    const late = await runCapture(config({}), mountWhenUp(40, 'EHOSTUNREACH'), fake.tools);
    expect(late.report.state).toBe('complete');
    expect(fake.lines.join('\n')).toContain('no (EHOSTUNREACH); trying again');
    fake.clock = 3;
    const never = await runCapture(config({}), mountWhenUp(1000, 'ETIMEDOUT'), fake.tools);
    expect(never.report.targets[0]?.error?.message).toContain('ETIMEDOUT');
    expect(fake.clock).toBeLessThan(70);
  });

  it('that takes bytes and loses them is noticed before the end', async () => {
    const broken = Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
    const checks: number[] = [];
    const checkDump = vi.spyOn(DirectoryTarget.prototype, 'checkDump').mockImplementation(() => {
      checks.push(fake.clock);
      if (checks.length === 2) throw broken;
    });
    const collect: typeof fake.tools.collect = (argv, hooks, to) => {
      for (let second = 0; second < 1000; second++) {
        fake.clock++;
        hooks.progress('Copying data', second, 1000);
      }
      return fake.tools.collect(argv, hooks, to);
    };
    const { report } = await runCapture(config({}), fake.machine, { ...fake.tools, collect });
    checkDump.mockRestore();
    expect(checks).toEqual([33, 63]);
    expect(report.targets[0]?.error).toMatchObject({
      step: 'collect',
      code: 'EIO',
      message: expect.stringContaining('the server does not answer'),
    });
  });

  it('is let go by force when it did not take the dump', async () => {
    const collect = (): never => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    await runCapture(config({}), fake.machine, { ...fake.tools, collect });
    expect(fake.events).toContain('unmount by force');
  });

  it('needs an address', async () => {
    const { report } = await runCapture({ ...config({}), network: null }, fake.machine, fake.tools);
    expect(report.targets[0]?.error).toMatchObject({ code: 'address-unknown' });
  });
});
