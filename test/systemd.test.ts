// Units, generator and udev rule, as systemd and udev read them, and as our own program takes what they call.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { verbs } from '../src/cli/kdumpctl/verbs.ts';
import { parseAssignments } from '../src/kdump/config/assignments.ts';
import { readSettings } from '../src/kdump/config/settings.ts';
import { commandLineDefaults } from '../src/kdump/config/variables.ts';
import { stateDirectory } from '../src/kdump/service/state.ts';
import { withRoot } from './kdump/config/fixtures.ts';

const project = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(project, path), 'utf8');

/** Section → key → values in order; comments and blank lines left out (systemd.syntax(7)). */
function parseUnit(text: string): Map<string, Map<string, string[]>> {
  const unit = new Map<string, Map<string, string[]>>();
  let section = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const name = /^\[(\w+)\]$/.exec(line)?.[1];
    if (name !== undefined) {
      section = new Map();
      unit.set(name, section);
      continue;
    }
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? expect.fail(`not a line of a unit: ${line}`);
    section.set(key!, [...(section.get(key!) ?? []), value!]);
  }
  return unit;
}

/** Paths by name; that of the capture runs inside an initramfs of dracut's. */
const pathOfUnit = Object.fromEntries(
  ['systemd', 'dracut/99kdump-tools'].flatMap((directory) =>
    readdirSync(join(project, directory))
      .filter((name) => name.endsWith('.service'))
      .map((name) => [name, `${directory}/${name}`]),
  ),
);
const units = Object.keys(pathOfUnit);
const unitNamed = (name: string) => {
  const unit = parseUnit(read(pathOfUnit[name]!));
  return (section: string, key: string): string[] => unit.get(section)?.get(key) ?? [];
};

test.each(units)('systemd finds nothing wrong with %s', (name) => {
  const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(project, pathOfUnit[name]!)], {
    encoding: 'utf8',
  });
  // Our program is not installed where the tests run.
  const complaints = stderr
    .split('\n')
    .filter((line) => line !== '' && !/Command kdumpctl is not executable/.test(line));
  expect(complaints).toEqual([]);
});

test.each(units)('every verb that %s calls is one', (name) => {
  const lines = ['ExecStart', 'ExecReload', 'ExecStop'].flatMap((key) => unitNamed(name)('Service', key));
  for (const line of lines.filter((text) => text.includes('kdumpctl'))) {
    const [, verb] = /^kdumpctl (\S+)( --early)?$/.exec(line) ?? expect.fail(line);
    expect(Object.keys(verbs)).toContain(verb);
  }
});

describe('kdump.service', () => {
  const unit = unitNamed('kdump.service');
  test('is driven by kdumpctl, and stays active once the machine is armed', () => {
    expect(unit('Service', 'ExecStart')).toEqual(['kdumpctl start']);
    expect(unit('Service', 'ExecReload')).toEqual(['kdumpctl reload']);
    expect(unit('Service', 'ExecStop')).toEqual(['kdumpctl stop']);
    expect([unit('Service', 'Type'), unit('Service', 'RemainAfterExit')]).toEqual([['oneshot'], ['yes']]);
    expect(unit('Install', 'WantedBy')).toEqual(['multi-user.target']);
  });

  test('fails, and is not skipped, when no memory is reserved', () => {
    // A "-" before a command would ignore its status, a condition would skip the unit.
    expect(read('systemd/kdump.service')).not.toMatch(
      /^(Condition|Assert|ExecCondition|SuccessExitStatus)|^Exec\w+=-/m,
    );
  });

  test('is not stopped when the machine goes down', () => {
    expect(unit('Unit', 'DefaultDependencies')).toEqual(['no']);
    for (const key of ['Conflicts', 'RequiresMountsFor', 'BindsTo', 'PartOf', 'Requires'])
      expect(unit('Unit', key)).toEqual([]);
    expect(unit('Service', 'StateDirectory')).toEqual([]);
  });

  test('never waits for ever', () => {
    expect(unit('Service', 'TimeoutStartSec')).toEqual(['1h']);
  });
});

test('kdump-early.service comes first, and leaves a machine without reserved memory to kdump.service', () => {
  const unit = unitNamed('kdump-early.service');
  expect(unit('Unit', 'Before')).toEqual(['kdump.service']);
  expect(unit('Unit', 'ConditionKernelCommandLine')).toEqual(['crashkernel']);
  expect(unitNamed('kdump.service')('Unit', 'After').join(' ')).toContain('kdump-early.service');
  expect(unitNamed('kdump.service')('Install', 'Also')).toEqual(['kdump-early.service kdump-notify.service']);
});

test('kdump-boot-end.service keeps a file of this boot until the machine is shut down', () => {
  const unit = unitNamed('kdump-boot-end.service');
  expect(unitNamed('kdump.service')('Unit', 'Wants')).toEqual(['kdump-boot-end.service']);
  // Without a command of kdump.service's own: that one starts it wherever it is started itself.
  expect(unit('Install', 'WantedBy')).toEqual([]);
  expect(unit('Unit', 'Conflicts')).toEqual(['shutdown.target']);
  const [made] = unit('Service', 'ExecStart');
  expect(made).toBe(`touch ${stateDirectory}/boot-%b`);
  expect(unit('Service', 'ExecStop')).toEqual([made!.replace('touch', 'rm -f')]);
});

test('kdump-capture.service runs in a crash kernel only, for as long as it takes', () => {
  const unit = unitNamed('kdump-capture.service');
  expect(unit('Unit', 'ConditionPathExists')).toEqual(['/etc/initrd-release', '/proc/vmcore']);
  expect(unit('Service', 'TimeoutStartSec')).toEqual(['infinity']);
  // Not without its root file system, behind what mounts the target, and before the initramfs is left.
  expect(unit('Unit', 'Requires')).toEqual(['initrd-root-fs.target']);
  expect(unit('Unit', 'After').join(' ').split(' ')).toContain('dracut-pre-pivot.service');
  expect(unit('Unit', 'Before').join(' ').split(' ')).toContain('initrd-cleanup.service');
});

describe('kdump-generator', () => {
  const wantsNetwork = (files: Record<string, string>, name = 'kdump'): boolean =>
    withRoot(files, (root) => {
      const [normal, early, late] = ['normal', 'early', 'late'].map((name) => join(root, name));
      const script = join(project, 'systemd/kdump-generator');
      const { status, stderr } = spawnSync('sh', [script, normal!, early!, late!, root], {
        encoding: 'utf8',
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const drop = join(normal!, `${name}.service.d/50-network.conf`);
      if (!existsSync(drop)) return false;
      expect(readFileSync(drop, 'utf8')).toBe('[Unit]\nWants=network-online.target\n');
      return true;
    });

  test.each([
    ['nfs server:/export\n', true],
    ['  ssh root@host\n', true],
    ['fallback_target nfs a:/b\n', true],
    ['dracut_args --mount "a:/b /mnt nfs4 defaults"\n', true],
    ['#ssh root@host\n', false],
    ['sshkey /root/.ssh/id\n', false],
    ['ext4 UUID=1\n', false],
    ['', false],
  ])('kdump.conf: %j', (text, wants) => {
    expect(wantsNetwork({ 'etc/kdump.conf': text })).toBe(wants);
    // And so do the settings: the two must not come apart.
    const targets = withRoot({ 'etc/kdump.conf': text }, (root) => readSettings(root).settings.targets);
    expect(targets.some(({ kind }) => kind === 'nfs' || kind === 'ssh')).toBe(wants);
  });

  test.each([
    ['SSH="root@host"\n', true],
    ['export NFS=a:/b\n', true],
    ['SSH=""\nNFS=\n', false],
    ['#NFS="a:/b"\n', false],
    ['SSH_KEY=/x\n', false],
  ])('/etc/default/kdump-tools: %j', (text, wants) => {
    expect(wantsNetwork({ 'etc/default/kdump-tools': text })).toBe(wants);
    expect(wantsNetwork({ 'etc/default/kdump-tools': text, 'etc/kdump.conf': '' })).toBe(false);
  });

  test('for who is told by it', () => {
    const conf = (text: string) => ({ 'etc/kdump.conf': text });
    const told = (text: string) => wantsNetwork(conf(text), 'kdump-notify');
    expect(told('notify boot post https://x/\n')).toBe(true);
    expect(told('notify boot exec /x\nnotify capture post https://x/\nnfs a:/b\n')).toBe(false);
    expect(wantsNetwork(conf('notify boot post https://x/\n'))).toBe(false);
  });

  test('does not mind that there are no settings', () => expect(wantsNetwork({ x: '' })).toBe(false));
});

describe('98-kdump.rules', () => {
  const rules = read('udev/98-kdump.rules');
  const lines = rules.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

  test('are keys with operators and values, and every label is there', () => {
    for (const line of lines)
      for (const key of line.split(/, (?=[A-Z])/)) expect(key).toMatch(/^[A-Z]+(\{\w+\})?(==|\+?=)"[^"]*"$/);
    const named = (key: string) =>
      [...rules.matchAll(new RegExp(`${key}="(\\w+)"`, 'g'))].map(([, name]) => name);
    expect(new Set(named('GOTO'))).toEqual(new Set(named('LABEL')));
  });

  test('leave alone what the kernel does by itself, before anything else', () => {
    expect(lines.slice(0, 2)).toEqual([
      'SUBSYSTEM=="cpu", ATTRS{crash_hotplug}=="1", GOTO="kdump_end"',
      'SUBSYSTEM=="memory", ATTRS{crash_hotplug}=="1", GOTO="kdump_end"',
    ]);
  });

  test('make one reload of a burst, and lose none', () => {
    const [, condition] = /ExecCondition='([^']*flock[^']*)'/.exec(rules) ?? expect.fail('no lock');
    const directory = mkdtempSync(join(tmpdir(), 'kdump-udev-'));
    try {
      // Two seconds are as long as there is no file "over".
      writeFileSync(join(directory, 'wait'), 'touch taken; until [ -e over ]; do sleep 0.02; done\n');
      const lock = condition!
        .replace('/run/kdump-hotplug.lock', 'lock')
        .replace('/usr/bin/sleep 2', 'sh wait');
      expect(lock).toBe('/usr/bin/flock --nonblock lock sh wait');
      // As systemd does: the command runs when the condition ends with 0.
      const event = `if ${lock}; then echo reload >> log; fi`;
      const script = [
        `(${event}) &`,
        'until [ -e taken ]; do sleep 0.02; done',
        ...Array(20).fill(event),
        'touch over; wait',
        event,
      ];
      spawnSync('sh', ['-c', script.join('\n')], { cwd: directory, timeout: 20_000 });
      expect(readFileSync(join(directory, 'log'), 'utf8')).toBe('reload\nreload\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('kdump-tools.default', () => {
  const text = read('systemd/kdump-tools.default');
  /** The lines that are settings, as if they were not commented out. */
  const examples = text.replaceAll(/^#(?=\w+=)/gm, '');

  test('says nothing as it is installed', () => {
    expect(parseAssignments(text, 'x').variables.size).toBe(0);
  });

  test('has examples that count', () => {
    const { findings } = withRoot({ 'etc/default/kdump-tools': examples }, readSettings);
    expect(findings).toEqual([]);
  });

  test('shows the default for what is added to the command line', () => {
    expect(parseAssignments(examples, 'x').variables.get('KDUMP_CMDLINE_APPEND')?.value).toBe(
      commandLineDefaults.append,
    );
  });
});
