import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import type { Target } from '../../../src/kdump/config/target.ts';
import { describeOutcome } from '../../../src/kdump/trial/target-test/outcome.ts';
import { type TargetDoors, testTarget } from '../../../src/kdump/trial/target-test/target-test.ts';
import { KdumpError } from '../../../src/lib/errors.ts';

let directory: string;
let done: string[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-target-'));
  done = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A machine whose ssh runs the command here, and whose mounts are directories. */
const machine = (part: Partial<TargetDoors> = {}): TargetDoors => ({
  mountedAt: () => undefined,
  findDevice: (device) => device,
  identify: () => undefined,
  mount: (source, fstype, options) => {
    done.push(`mount ${source} ${fstype} ${options}`);
    return directory;
  },
  unmount: (mountPoint) => void done.push(`unmount ${mountPoint}`),
  knownHosts: '/known',
  ssh: (args, input) => {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', args.at(-1)!], { input });
    return { status: status ?? 255, stdout, stderr: stderr.toString() };
  },
  ...part,
});
const settings = (part: object = {}) => ({ ...readSettings(directory).settings, path: '/dumps', ...part });
const tryIt = (target: Target, doors = machine(), part: object = {}) => {
  const { steps, ok } = testTarget(target, settings(part), doors);
  return { ok, steps: steps.map((one) => `${one.step}${one.ok ? '' : ` FAILED: ${one.detail}`}`) };
};
const everything = ['directory', 'space', 'create', 'write and sync', 'rename', 'read back', 'delete'];

describe('a directory', () => {
  const local = (path = 'crash'): Target => ({ kind: 'directory', path: join(directory, path) });

  it('is tried and left as it was', () => {
    mkdirSync(join(directory, 'crash'));
    writeFileSync(join(directory, 'crash/mine'), '');
    expect(tryIt(local())).toEqual({ ok: true, steps: everything });
    expect(readdirSync(join(directory, 'crash'))).toEqual(['mine']);
  });

  it('is made, with those above it, and taken away again', () => {
    expect(tryIt(local('a/b/c'))).toEqual({ ok: true, steps: everything });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('that cannot be one ends the trial', () => {
    writeFileSync(join(directory, 'crash'), '');
    expect(tryIt(local()).steps).toEqual([expect.stringMatching(/^directory FAILED: .*EEXIST/), 'delete']);
  });

  it('is too small when min_free asks for more, and then nothing is left either', () => {
    const { steps } = tryIt(local('new'), machine(), { limits: { minFree: { bytes: 2 ** 60 } } });
    expect(steps).toEqual([
      'directory',
      expect.stringMatching(/^space FAILED: .*min_free asks for/),
      'delete',
    ]);
    expect(existsSync(join(directory, 'new'))).toBe(false);
  });
});

describe('a file system', () => {
  const disk: Target = { kind: 'filesystem', fstype: 'ext4', device: '/dev/x', mountOptions: 'noatime' };

  it('is mounted for the time of the trial', () => {
    expect(tryIt(disk)).toEqual({ ok: true, steps: ['mount', ...everything, 'unmount'] });
    expect(done).toEqual(['mount /dev/x ext4 noatime', `unmount ${directory}`]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is used where it is mounted', () => {
    expect(tryIt(disk, machine({ mountedAt: () => directory })).ok).toBe(true);
    expect(done).toEqual([]);
  });

  it('is unmounted after a failure', () => {
    writeFileSync(join(directory, 'dumps'), '');
    expect(tryIt(disk).ok).toBe(false);
    expect(done.at(-1)).toBe(`unmount ${directory}`);
  });

  it('says what is missing', () => {
    expect(tryIt(disk, machine({ findDevice: () => undefined })).steps).toEqual([
      'mount FAILED: /dev/x is not there',
    ]);
    const mount = (): never => {
      throw new KdumpError('timed-out', 'mount did not end within 90 s');
    };
    expect(tryIt({ kind: 'virtiofs', tag: 'share' }, machine({ mount })).steps).toEqual([
      'mount FAILED: mount did not end within 90 s',
    ]);
  });

  it('of a server does not hold the trial for ever', () => {
    expect(tryIt({ kind: 'nfs', server: 'files', export: '/x', mountOptions: 'vers=4' }).ok).toBe(true);
    expect(done[0]).toMatch(/^mount files:\/x nfs vers=4,soft,timeo=/);
  });
});

it('a partition is not written to', () => {
  const raw: Target = { kind: 'raw', device: '/dev/x' };
  expect(tryIt(raw)).toEqual({ ok: true, steps: ['device'] });
  const used = machine({ identify: () => ({ fstype: 'ext4', uuid: '', label: '' }) });
  expect(tryIt(raw, used).steps[0]).toMatch(/FAILED: there is a file system of type ext4/);
});

describe('another machine', () => {
  const vault: Target = { kind: 'ssh', user: 'kdump', host: 'vault' };
  const there = () => ({ path: join(directory, "it's $(here)") });

  it('is tried by the requests of a capture, in which no name is evaluated', () => {
    const steps = ['log in', 'directory', 'write, sync and rename', 'delete'];
    expect(tryIt(vault, machine(), there())).toEqual({ ok: true, steps });
    expect(readdirSync(there().path)).toEqual([]);
  });

  it('logs in without a question, by the pinned key', () => {
    let words: readonly string[] = [];
    const ssh = (args: readonly string[]) => {
      words = args;
      return { status: 255, stdout: Buffer.alloc(0), stderr: 'Host key verification failed.\n' };
    };
    expect(tryIt(vault, machine({ ssh })).steps).toEqual([
      expect.stringMatching(/^log in FAILED: Host key verification failed.*propagate/s),
    ]);
    expect(words).toEqual(
      expect.arrayContaining(['BatchMode=yes', 'StrictHostKeyChecking=yes', '-l', 'kdump', 'vault']),
    );
    expect(words).toContain('UserKnownHostsFile=/known');
  });

  it('says at which step it failed', () => {
    writeFileSync(join(directory, 'file'), '');
    const { steps } = tryIt(vault, machine(), { path: join(directory, 'file/dumps') });
    expect(steps).toEqual(['log in', expect.stringMatching(/^directory FAILED: .*cannot be made/s)]);
  });

  it('that does something else than it is told is told from one that does', () => {
    const ssh = () => ({ status: 0, stdout: Buffer.from('hello\n'), stderr: '' });
    expect(tryIt(vault, machine({ ssh })).steps).toEqual([expect.stringMatching(/^log in FAILED/)]);
  });

  it('that only takes dumps is not written to', () => {
    const ssh = (args: readonly string[]) => ({
      status: args.at(-1)!.endsWith("'hello'") ? 0 : 1,
      stdout: Buffer.from('kdump-receive is ready\n'),
      stderr: 'refused',
    });
    const { ok, steps } = testTarget(vault, settings(), machine({ ssh }));
    expect(ok).toBe(true);
    expect(steps.at(-1)!.detail).toMatch(/not tried/);
  });
});

it('is told in lines', () => {
  const steps = [
    { step: 'mount', ok: true, detail: '' },
    { step: 'space', ok: false, detail: 'no' },
  ];
  expect(describeOutcome({ target: 'raw /dev/x', ok: false, steps })).toBe(
    'raw /dev/x: does not work\n  ok      mount\n  FAILED  space: no\n',
  );
});
