// The unit as systemd reads it, its commands run by our own programs: an option that changes breaks the unit here.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleCommands } from './helpers/bundle.ts';
import { fixtureRoot } from './kexec/fixtures.ts';
import { syntheticHead, syntheticSize } from './kexec/synthetic-kernel.ts';

const project = fileURLToPath(new URL('..', import.meta.url));
const release = '6.1.0-unit';
type Settings = Readonly<Record<string, string>>;

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

/** Splits at blanks; quotes hold a word together, as in systemd.exec(5). */
function splitWords(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replaceAll(/["']/g, ''));
}

/** %v, $NAME as a word of its own (words of its value), ${NAME} anywhere (part of one word): systemd.service(5). */
function commandWords(line: string, settings: Settings): string[] {
  const settingOf = (name: string): string => settings[name] ?? expect.fail(`${name} is not set`);
  return splitWords(line.replaceAll('%v', release)).flatMap((word) => {
    const alone = /^\$(\w+)$/.exec(word)?.[1];
    if (alone !== undefined) return splitWords(settingOf(alone));
    return [word.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => settingOf(name))];
  });
}

const assignment = (text: string): [string, string] => {
  const [, name, value] = /^(\w+)=(.*)$/.exec(text) ?? expect.fail(`no assignment: ${text}`);
  return [name!, value!];
};

const unit = parseUnit(readFileSync(join(project, 'systemd/kdump.service'), 'utf8'));
const service = unit.get('Service')!;
const lines = (key: string): string[] => service.get(key) ?? expect.fail(`the unit has no ${key}`);
const defaults: Settings = Object.fromEntries(
  lines('Environment').flatMap((line) =>
    splitWords(line).map((word) => assignment(word.replaceAll('%v', release))),
  ),
);
/** The lines of the example that are settings, as if they were not commented out. */
const example: Settings = Object.fromEntries(
  readFileSync(join(project, 'systemd/kdump-tools.default'), 'utf8')
    .split('\n')
    .filter((line) => /^#\w+=/.test(line))
    .map((line) => {
      const [name, quoted] = assignment(line.slice(1));
      return [name, /^"([^"]*)"$/.exec(quoted)?.[1] ?? expect.fail(`not quoted: ${line}`)];
    }),
);

let directory: string;
const file = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-unit-'));
  await bundleCommands(['kexec', 'mkdumprd', 'capture'], directory);
  writeFileSync(file('vmlinuz'), syntheticHead());
  truncateSync(file('vmlinuz'), syntheticSize);
  writeFileSync(file('capture.img'), 'x'.repeat(3_000_000));
  // mkdumprd looks for koffi before it looks for modules.
  writeFileSync(file('koffi.node'), '');
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs a command line of the unit with our program of that name, and more arguments behind its own. */
function runLine(line: string, settings: Settings, ...more: string[]) {
  const [name, ...args] = commandWords(line, settings);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file(`${name}.mjs`), ...args, ...more], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

const here = (): Settings => ({
  ...defaults,
  KDUMP_KERNEL: file('vmlinuz'),
  KDUMP_IMAGE: file('capture.img'),
});
const vm = ['--dry-run', `--root=${fixtureRoot('vm-512m')}`];

describe('kdump.service', () => {
  test('names the files of the running kernel', () => {
    expect(defaults).toMatchObject({
      KDUMP_KERNEL: `/boot/vmlinuz-${release}`,
      KDUMP_IMAGE: `/var/lib/kdump/capture-${release}.img`,
    });
  });

  test('loads the crash kernel with the image and the whole command line', () => {
    const { status, stdout, stderr } = runLine(lines('ExecStart')[0]!, here(), ...vm);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      action: 'load',
      type: 'crash',
      kernel: { path: file('vmlinuz') },
      initrd: { path: file('capture.img') },
      commandLine: defaults.KDUMP_COMMANDLINE,
    });
  });

  test('fails, and is not skipped, when no memory is reserved', () => {
    const server = ['--dry-run', `--root=${fixtureRoot('server-24g')}`];
    const { status, stderr } = runLine(lines('ExecStart')[0]!, here(), ...server);
    expect(status).toBe(1);
    expect(stderr).toMatch(/Memory for crashkernel is not reserved/);
    // A "-" before the command would ignore its status, a condition would skip the unit.
    for (const key of ['ExecStartPre', 'ExecStart']) {
      for (const line of lines(key)) expect(line).toMatch(/^[a-z]/);
    }
    const conditions = [...unit.values()].flatMap((section) => [...section.keys()]);
    expect(
      conditions.filter((key) => /^(Condition|Assert|ExecCondition|SuccessExitStatus)/.test(key)),
    ).toEqual([]);
  });

  test('unloads the crash kernel', () => {
    const { status, stdout } = runLine(lines('ExecStop')[0]!, here(), ...vm);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ action: 'unload', type: 'crash' });
  });

  test('stays active once the machine is armed', () => {
    expect([lines('Type'), lines('RemainAfterExit')]).toEqual([['oneshot'], ['yes']]);
    expect(unit.get('Install')?.get('WantedBy')).toEqual(['multi-user.target']);
  });

  test('makes the directories that its defaults name', () => {
    const made = lines('ExecStartPre')
      .find((line) => line.startsWith('mkdir '))!
      .split(' ');
    expect(made).toContain('/var/lib/kdump');
    expect(made).toContain('/var/crash');
    expect(splitWords(defaults.KDUMP_IMAGE_OPTIONS!)).toEqual(['--path', '/var/crash']);
  });
});

describe('the image', () => {
  const line = lines('ExecStartPre').find((candidate) => candidate.startsWith('mkdumprd '))!;

  test('is kept when it is there', () => {
    expect(runLine(line, here())).toEqual({
      status: 0,
      stdout: `${file('capture.img')} is there already\n`,
      stderr: '',
    });
  });

  test('is built for the kernel of the unit when it is not', () => {
    const settings = {
      ...here(),
      KDUMP_IMAGE: file('other.img'),
      KDUMP_IMAGE_OPTIONS: `${defaults.KDUMP_IMAGE_OPTIONS} --target /dev/vda --fstype ext4 --modules-root ${directory}`,
    };
    const { status, stderr } = runLine(line, settings);
    expect(status).toBe(1);
    expect(stderr).toContain(`kernel ${release} has no modules`);
  });
});

describe('kdump-tools.default', () => {
  test('has an example for each setting of the unit and for no other', () => {
    expect(Object.keys(example)).toEqual(Object.keys(defaults));
    expect(lines('EnvironmentFile')).toEqual(['-/etc/default/kdump-tools']);
  });

  test('has examples that our commands take', () => {
    const settings = { ...example, KDUMP_KERNEL: file('vmlinuz'), KDUMP_IMAGE: file('capture.img') };
    expect(runLine(lines('ExecStart')[0]!, settings, ...vm).status).toBe(0);
    for (const line of lines('ExecStartPre').filter((candidate) => candidate.startsWith('mkdumprd ')))
      expect(runLine(line, settings)).toMatchObject({ status: 0, stderr: '' });
  });

  test('shows the default command line, with a console', () => {
    expect(example.KDUMP_COMMANDLINE).toBe(`console=ttyS0 ${defaults.KDUMP_COMMANDLINE}`);
  });
});
