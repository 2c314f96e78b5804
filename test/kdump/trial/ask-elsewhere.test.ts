import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import type { Target } from '../../../src/kdump/config/target.ts';
import { askElsewhere } from '../../../src/kdump/trial/ask-elsewhere.ts';
import type { TargetDoors } from '../../../src/kdump/trial/target-test/target-test.ts';
import { KdumpError } from '../../../src/lib/errors.ts';

let directory: string;
let done: string[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-ask-'));
  done = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const machine = (part: Partial<TargetDoors> = {}): TargetDoors => ({
  mountedAt: () => undefined,
  findDevice: (device) => device,
  identify: () => undefined,
  mount: (source, fstype, options) => {
    done.push(`mount ${source} ${fstype} ${options}`);
    return directory;
  },
  unmount: () => void done.push('unmount'),
  knownHosts: '/known',
  ssh: (args) => {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', args.at(-1)!]);
    return { status: status ?? 255, stdout, stderr: stderr.toString() };
  },
  ...part,
});
const vault: Target = { kind: 'ssh', user: 'kdump', host: 'vault' };
const disk: Target = { kind: 'filesystem', fstype: 'xfs', device: '/dev/x', mountOptions: '' };
function ask(targets: readonly Target[], path: string, doors = machine()) {
  return askElsewhere(targets, { ...readSettings(directory).settings, path }, 'kdump-test-7', doors);
}
function saved(path: string): void {
  mkdirSync(join(path, 'kdump-test-7'), { recursive: true });
  writeFileSync(join(path, 'kdump-test-7/vmcore-creation.status'), 'success kdump_test_id=7\n');
}

it('asks another machine, where no name is evaluated', () => {
  const path = join(directory, "it's $(here)");
  expect(ask([vault], path)).toBeNull();
  saved(path);
  expect(ask([vault], path)).toMatchObject({
    line: 'success kdump_test_id=7',
    where: `ssh kdump@vault: ${path}/kdump-test-7`,
  });
  const ssh = () => ({ status: 255, stdout: Buffer.alloc(0), stderr: '' });
  expect(ask([vault], path, machine({ ssh }))).toBeUndefined();
});

it('mounts, read-only, and unmounts', () => {
  expect(ask([disk], '/dumps')).toBeNull();
  expect(done).toEqual(['mount /dev/x xfs ro', 'unmount']);
  saved(join(directory, 'dumps'));
  expect(ask([disk], '/dumps')?.line).toContain('success');
  const mount = (): never => {
    throw new KdumpError('timed-out', 'mount did not end');
  };
  expect(ask([disk], '/dumps', machine({ mount }))).toBeUndefined();
});

it('takes the first that has it, whatever the others say', () => {
  saved(join(directory, 'dumps'));
  const ssh = () => ({ status: 255, stdout: Buffer.alloc(0), stderr: '' });
  expect(ask([vault, disk], '/dumps', machine({ ssh }))?.line).toContain('success');
  expect(ask([], '/dumps')).toBeNull();
});
