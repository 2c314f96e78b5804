import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CaptureConfig } from '../../../../src/kdump/capture/config.ts';
import { runCapture } from '../../../../src/kdump/capture/flow.ts';
import type { CaptureMachine } from '../../../../src/kdump/capture/machine.ts';
import { runBounded } from '../../../../src/kdump/capture/run-bounded.ts';
import { remoteScript } from '../../../../src/kdump/capture/targets/remote-script.ts';
import { remoteCommand, sshArguments } from '../../../../src/kdump/capture/targets/ssh-command.ts';
import { captureTools } from '../../../../src/kdump/capture/tools.ts';
import { startBeside } from '../../../../src/system/beside.ts';
import { device, type Fake, fakeMachine, name, config as plain } from '../fake-machine.ts';

let fake: Fake;
let path: string | undefined;
/** The other machine is a directory; ssh is a script that runs the command there, as a login shell would. */
let far: string;
let machine: CaptureMachine;
beforeEach(() => {
  fake = fakeMachine();
  far = join(fake.root, 'far');
  mkdirSync(far);
  fakeSsh('');
  path = process.env.PATH;
  process.env.PATH = `${join(fake.root, 'bin')}:${path}`;
  machine = {
    ...fake.machine,
    run: (program, args, seconds, input) => runBounded(program, args, seconds, { input }),
    feed: (program, args) => startBeside(program, args, { stdin: 'pipe' }),
  };
});
afterEach(() => {
  process.env.PATH = path;
  fake.remove();
});

function fakeSsh(before: string): void {
  const bin = join(fake.root, 'bin');
  mkdirSync(bin, { recursive: true });
  const script = `#!/bin/sh
echo "$@" >> ${fake.root}/ssh.log
for command; do :; done
${before}
exec sh -c "$command"
`;
  writeFileSync(join(bin, 'ssh'), script);
  chmodSync(join(bin, 'ssh'), 0o755);
}

const ssh = { kind: 'ssh', user: 'kdump', host: 'store' } as const;
const config = (change: Partial<CaptureConfig> = {}): CaptureConfig => ({
  ...plain,
  targets: [ssh],
  path: far,
  ssh: { key: '/root/.ssh/id', knownHosts: '/root/.ssh/known' },
  coreCollector: ['makedumpfile', '-l', '-d', '0', '-F'],
  ...change,
});
const at = (...file: string[]): string => join(far, name, ...file);
const tools = { ...captureTools, extractDmesg: () => '[ 1.0] Kernel panic - not syncing: x\n' };
const account = () => JSON.parse(readFileSync(at('dump.json'), 'utf8'));

describe('an ssh target', () => {
  it('gets the dump as a flattened stream, whole, under its name, for its owner only', async () => {
    const outcome = await runCapture(config(), machine, tools);
    expect(outcome).toMatchObject({ recorded: true, directory: join(far, name) });
    expect(outcome.report.errors).toEqual([]);
    expect(readdirSync(at()).sort()).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'vmcore-dmesg.txt',
      'vmcore.flat',
    ]);
    for (const file of readdirSync(at())) expect(statSync(at(file)).mode & 0o777, file).toBe(0o600);
    expect(statSync(at()).mode & 0o777).toBe(0o700);
    const [sum] = spawnSync('sha256sum', [at('vmcore.flat')])
      .stdout.toString()
      .split(' ');
    expect(account()).toMatchObject({
      state: 'complete',
      targets: [
        { target: 'kdump@store', file: 'vmcore.flat', bytes: statSync(at('vmcore.flat')).size, sha256: sum },
      ],
    });
    const flat = readFileSync(at('vmcore.flat'));
    expect(flat.subarray(0, 12).toString()).toBe('makedumpfile');
    // The terminator is there, so nothing is missing.
    expect(flat.subarray(-16).equals(Buffer.alloc(16, 0xff))).toBe(true);
  });

  it('gets the vmcore as it is from scp', async () => {
    await runCapture(config({ coreCollector: ['scp'] }), machine, tools);
    expect(readFileSync(at('vmcore')).equals(readFileSync(machine.boot.vmcore))).toBe(true);
  });

  it('is numbered when the directory is there', async () => {
    mkdirSync(at(), { recursive: true });
    expect((await runCapture(config(), machine, tools)).directory).toBe(`${join(far, name)}-2`);
  });

  it('that refuses the key is not asked again, and the next target gets the dump', async () => {
    fakeSsh('echo "kdump@store: Permission denied (publickey)." >&2; exit 255');
    const targets = [ssh, device('vda')] as const;
    const { report } = await runCapture(config({ targets, path: '/var/crash' }), machine, tools);
    expect(report.targets).toMatchObject([
      {
        state: 'failed',
        error: {
          code: 'ssh',
          message: expect.stringContaining('Permission denied'),
          fix: expect.stringContaining('propagate'),
        },
      },
      { state: 'complete', file: 'vmcore' },
    ]);
    expect(readFileSync(join(fake.root, 'ssh.log'), 'utf8').match(/-l kdump/g)).toHaveLength(1);
  });

  it('that cannot be reached yet is tried for a while', async () => {
    fakeSsh(
      '[ $(grep -c -e "-l kdump" ' +
        '$0.log 2> /dev/null || echo 0) -ge 0 ]; if [ ! -e $0.up ]; then touch $0.up; echo "No route to host" >&2; exit 255; fi',
    );
    const { report } = await runCapture(config(), machine, tools);
    expect(report.state).toBe('complete');
    expect(fake.lines.join('\n')).toContain('No route to host; trying again');
  });

  it('that refuses by itself is not asked again', async () => {
    fakeSsh('echo "kdump-receive: refused: this account only takes dumps" >&2; exit 1');
    const { report } = await runCapture(config(), machine, tools);
    expect(report.targets[0]?.error?.message).toContain('only takes dumps');
    expect(readFileSync(join(fake.root, 'ssh.log'), 'utf8').match(/-l kdump/g)).toHaveLength(1);
  });

  it('may take its time to make the dump durable', async () => {
    fakeSsh('case $command in *"kdump-receive \'finish\'"*) sleep 0.3;; esac');
    const wait = vi.fn<(seconds: number) => void>();
    const feed: CaptureMachine['feed'] = (program, args) => {
      const beside = startBeside(program, args, { stdin: 'pipe' });
      if (!args.at(-1)!.includes(" 'finish' ")) return beside;
      return {
        pid: beside.pid,
        stdin: beside.stdin,
        status: () => beside.status(),
        said: () => beside.said(),
        kill: () => beside.kill(),
        close: () => beside.close(),
        wait: (seconds) => {
          wait(seconds);
          // The first slices pass in no time.
          return wait.mock.calls.length < 3 ? undefined : beside.wait(60);
        },
      };
    };
    const { report } = await runCapture(config(), { ...machine, feed }, tools);
    expect(report).toMatchObject({ state: 'complete', errors: [] });
    expect(wait.mock.calls).toEqual([[60], [60], [60]]);
  });

  it('that goes in the middle of the dump leaves it incomplete, and says what ssh said', async () => {
    fakeSsh(
      'case $command in *"kdump-receive \'stream\'"*) head -c 100000 > /dev/null; echo "client_loop: send disconnect: Broken pipe" >&2; exit 255;; esac',
    );
    const { report } = await runCapture(config(), machine, tools);
    expect(report.targets[0]).toMatchObject({
      state: 'incomplete',
      error: { step: 'collect', code: 'ssh', message: expect.stringContaining('disconnect') },
    });
    expect(existsSync(at('vmcore.flat'))).toBe(false);
  });

  it('that stops taking anything is given up', async () => {
    fakeSsh('case $command in *"kdump-receive \'stream\'"*) sleep 1000;; esac');
    const { report } = await runCapture(config({ stallSeconds: 0.2 }), machine, tools);
    expect(report.targets[0]?.error).toMatchObject({
      step: 'collect',
      message: expect.stringMatching(/taken nothing/),
    });
  });

  it('that has lost bytes has no whole dump', async () => {
    fakeSsh(
      'case $command in *"kdump-receive \'stream\'"*) sh -c "$command"; truncate -s -1 ' +
        `${at('vmcore-incomplete')}; exit 0;; esac`,
    );
    const { report } = await runCapture(config(), machine, tools);
    expect(report.targets[0]?.error?.message).toMatch(/has \d+ bytes, but \d+ were sent/);
    expect(existsSync(at('vmcore-incomplete'))).toBe(true);
  });
});

describe('what ssh is told', () => {
  it('leaves no question open and trusts only what is pinned', () => {
    const args = sshArguments(ssh, { key: '/k', knownHosts: '/h' });
    for (const option of [
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      'UserKnownHostsFile=/h',
      'IdentitiesOnly=yes',
    ])
      expect(args).toContain(option);
    expect(args.slice(-3)).toEqual(['kdump', '--', 'store']);
  });

  it('is a command whose words stay words', () => {
    const odd = ["a'b", '$(touch /tmp/x)', 'c d'];
    const echo = remoteCommand(odd).replace(remoteScript, 'printf "%s|" "$@"');
    expect(spawnSync('sh', ['-c', echo]).stdout.toString()).toBe(odd.map((word) => `${word}|`).join(''));
    expect(remoteScript).not.toContain("'");
  });
});

describe('kdump-receive, the forced command', () => {
  const receiver = readFileSync('ssh/kdump-receive', 'utf8');
  const receive = (command: string, input = '') =>
    spawnSync('sh', ['ssh/kdump-receive', far], {
      input,
      env: { PATH: process.env.PATH, SSH_ORIGINAL_COMMAND: command },
    });

  it('does what the script does that machines send along', () =>
    expect(receiver.endsWith(remoteScript)).toBe(true));

  it('takes a whole capture', async () => {
    fakeSsh(`SSH_ORIGINAL_COMMAND=$command exec sh ${process.cwd()}/ssh/kdump-receive ${far}`);
    const { report } = await runCapture(config(), machine, tools);
    expect(report).toMatchObject({ state: 'complete', errors: [] });
    expect(existsSync(at('vmcore.flat'))).toBe(true);
  });

  it.each([
    ['a shell', ''],
    ['a command', 'cat /etc/passwd'],
    ['another directory', remoteCommand(['begin', '/etc', 'x'])],
    ['a directory that begins alike', () => remoteCommand(['begin', `${far}x`, 'x'])],
    ['a way out', () => remoteCommand(['begin', `${far}/../x`, 'x'])],
    ['a way out by name', () => remoteCommand(['put', far, '../x', '0'])],
    ['a name with a slash', () => remoteCommand(['stream', far, 'a/b'])],
    ['a command in a word', () => remoteCommand(['put', far, '$(touch x)', '0'])],
    ['another request', remoteCommand(['remove', '/'])],
  ])('refuses %s', (_, command) => {
    const { status, stderr } = receive(typeof command === 'string' ? command : command());
    expect(stderr.toString()).toMatch(/^kdump-receive: refused/);
    expect(status).toBe(1);
    expect(readdirSync(far)).toEqual([]);
  });

  it('overwrites no dump that is complete', () => {
    writeFileSync(join(far, 'vmcore.flat'), 'old');
    expect(receive(remoteCommand(['put', far, 'vmcore.flat', '3']), 'new').status).toBe(1);
    expect(readFileSync(join(far, 'vmcore.flat'), 'utf8')).toBe('old');
  });
});
