// The analysis shell, compared with crash(8) and the debug vmlinux on the same vmcore, line by line; and vmcore-dmesg
// with that of kexec-tools.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crashOutput, markedCommands, outputByCommand } from './lab/crash-output.ts';
import { debugVmlinux } from './lab/debug-vmlinux.ts';
import { comparedKernels, kernelNames, labKernel, peer, rawVmcore } from './lab/lab.ts';

const program = (name: string): string => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));
const run = (name: string, ...argv: string[]) =>
  spawnSync(process.execPath, [program(name), ...argv], {
    encoding: 'latin1',
    maxBuffer: 2 ** 28,
    timeout: 120_000,
  });

/** Commands whose output is the same to the letter. */
const same = [
  'sys -t',
  'sys -i',
  'log',
  'log -t',
  'log -m',
  'log -d',
  'log -c',
  'log -a',
  'ps',
  'ps -k',
  'ps -u',
  'ps -G',
  'ps -A',
  'ps -H',
  'ps -s',
  'ps -y 0',
  'ps -l',
  'ps -m',
  'ps -l -C 0',
  'ps -S',
  'ps -p 1',
  'ps -c 1',
  'ps -g 1',
  'ps -a 1',
  'ps -r 1',
  'ps init',
  'ps nosuch',
  'mod',
  'mod -t',
  'sym nosuch',
  'sym -q sysrq_handle',
  'bt',
  'bt -s',
  'bt -sx',
  'bt -f',
  'bt -e',
  'bt -t',
  'bt -p',
  'bt -a',
  'bt -c 0,1',
  'bt -g 1',
  'bt -v',
  'bt 2',
  'bt -R panic',
  'bt -n idle',
  'task -R pid,comm',
  'task -x -R pid',
  'set',
  'set 2',
  'set -p',
  'set hex',
  'set radix 10',
  'foreach 1 bt',
  'foreach UN bt',
  'foreach RU ps',
  'foreach kernel task -R pid',
  'foreach init bt -s',
  '*list_head',
  'dis -s panic',
  'dis -s sysrq_handle_crash 3',
];

/** Commands of which something is different on purpose. */
const different = [
  'dis -l panic 5',
  'dis -rl panic+20',
  'sys',
  'sys -c',
  'sym panic',
  'sym -m loop',
  'bt -r',
  'bt -F',
  'log -T',
  'task',
  'set -c 0',
];

/** Those of which Debian 12 has the debug information. */
const described = comparedKernels().filter((name) => kernelNames.includes(name));

describe.each(described)('the shell on kernel %s', (name) => {
  let directory: string;
  let vmcore: string;
  let vmlinux: string;
  let theirs: Map<string, string[]>;
  let ours: Map<string, string[]>;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'crash-shell-'));
    vmcore = await rawVmcore(name);
    vmlinux = await debugVmlinux(await labKernel(name));
    const script = join(directory, 'commands');
    const commands = [...same, ...different];
    writeFileSync(script, markedCommands(commands));
    theirs = linesByCommand(await crashOutput(name, vmcore, commands));
    const own = run('crash', '-s', '-i', script, vmcore, vmlinux);
    expect(own.stderr).toBe('');
    ours = linesByCommand(outputByCommand(own.stdout));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each(same)('%s', (command) => {
    expect(theirs.get(command)!.length).toBeGreaterThan(0);
    expect(ours.get(command)).toEqual(theirs.get(command));
  });

  test('sys: the same but for the uptime, for which crash takes a wrong HZ where the kernel does not say it', () => {
    const plain = (lines: readonly string[]): string[] => lines.filter((line) => !line.includes('UPTIME'));
    expect(plain(ours.get('sys')!)).toEqual(plain(theirs.get('sys')!));
    const uptime = /UPTIME: 00:00:(\d+)/.exec(ours.get('sys')!.join('\n'))![1];
    const last = /^\[ *(\d+)\./.exec(ours.get('log')!.at(-1)!)![1];
    expect(Math.abs(Number(uptime) - Number(last))).toBeLessThanOrEqual(1);
  });

  test('set -c: the task that was running on a CPU', () => {
    // crash says nothing when that CPU is the one of the context.
    const [line] = ours.get('ps')!.filter((each) => /^> +\d+ +\d+ +0 /.test(each));
    expect(ours.get('set -c 0')![0]).toBe(`    PID: ${line!.split(/ +/)[1]}`);
  });

  test('sys -c: every system call, its source file without the directory of the build', () => {
    const calls = (lines: readonly string[]): string[] =>
      lines.map((line) => line.replace(/ (\S*?)((?:\w+\/)*[\w-]+\.[cS]: \d+)$/, ' $2').replace(/ +/g, ' '));
    const [a, b] = [calls(ours.get('sys -c')!), calls(theirs.get('sys -c')!)];
    expect(a.length).toBeGreaterThan(400);
    expect(a.map((line) => line.split(' ').slice(0, 3))).toEqual(
      b.map((line) => line.split(' ').slice(0, 3)),
    );
    // A call that is none is an empty function: of the two lines that its only address has, the other one.
    const lineOf = (line: string): string | undefined =>
      line.includes('ni_syscall') ? undefined : /: \d+$/.exec(line)?.[0];
    expect(a.map(lineOf)).toEqual(b.map(lineOf));
  });

  test('sym: with file and line', () => {
    const [, line] = /(kernel\/panic\.c: \d+)$/.exec(theirs.get('sym panic')![0]!)!;
    expect(ours.get('sym panic')![0]).toMatch(/^[0-9a-f]{16} \(T\) panic /);
    expect(ours.get('sym panic')![0]).toContain(line);
  });

  test.each(['dis -l panic 5', 'dis -rl panic+20'])('%s: lines where they change', (command) => {
    const theirLines = theirs.get(command)!.map((line) => line.replace(/^\S+\/(?=kernel\/\w+\.c: )/, ''));
    expect(ours.get(command)).toEqual(theirLines);
  });

  test('rd -r: memory as it is, for its owner alone', () => {
    const file = join(directory, 'memory');
    const { stdout } = run(
      'crash',
      '-s',
      vmcore,
      '-c',
      `rd -r ${file} linux_banner 64; rd -a linux_banner 64`,
    );
    expect(stdout).toMatch(/^64 bytes copied from 0xffffffff[0-9a-f]{8} to /);
    expect(readFileSync(file, 'latin1')).toMatch(/^Linux version \d/);
    expect(statSync(file)).toMatchObject({ size: 64 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('sym -m: without marks of the compiler, with types that crash does not know', () => {
    // Where a part ends crash says in one way until 6.3, and in another since.
    const addresses = (lines: readonly string[]): Set<string> =>
      new Set(lines.filter((line) => !line.includes(' END: ')).map((line) => line.slice(0, 16)));
    const known = addresses(theirs.get('sym -m loop')!);
    for (const address of addresses(ours.get('sym -m loop')!)) expect(known).toContain(address);
    const parts = (lines: readonly string[]): string[] =>
      lines.filter((line) => / MODULE .*START/.test(line));
    expect(parts(ours.get('sym -m loop')!)).toEqual(parts(theirs.get('sym -m loop')!));
    expect(ours.get('sym -m loop')!.join()).not.toContain('(?)');
  });

  test.each(['bt -r', 'bt -F'])(
    '%s: words with a name of their own in the symbol table have the same',
    (command) => {
      // Names of literals (.LC3) are in debug information only; crash leaves out what the compiler added to others.
      const plain = (line: string): string =>
        line
          .replace(/\.(isra|part|constprop)\.\d+/g, '')
          .replace(/\s+/g, ' ')
          .trim();
      const [a, b] = [ours.get(command)!.map(plain), theirs.get(command)!.map(plain)];
      expect(a.length).toBe(b.length);
      const odd = a.filter((line, i) => line !== b[i] && !/\.LC\d+/.test(b[i]!));
      expect(odd).toEqual([]);
    },
  );

  test('log -T: by the clock of the crash', () => {
    const lines = ours.get('log -T')!;
    expect(lines.length).toBe(theirs.get('log -T')!.length);
    const seconds = (line: string): number => Date.parse(/^\[(.*?)\]/.exec(line)![1]!) / 1000;
    const date = /DATE: (.*)/.exec(ours.get('sys')!.join('\n'))![1]!;
    expect(Math.abs(seconds(lines.at(-1)!) - Date.parse(date) / 1000)).toBeLessThanOrEqual(2);
  });

  test('task: a thousand members, the same', () => {
    const [a, b] = [ours.get('task')!, theirs.get('task')!];
    expect(a.length).toBeGreaterThan(900);
    // What is beyond 200 characters of text is cut at another place.
    const odd = a.filter((line, i) => line !== b[i] && !line.includes('__padding'));
    expect(odd).toEqual([]);
  });

  test('bt -l: the line of each call', () => {
    const { stdout } = run('crash', vmlinux, vmcore, '-c', 'bt -l');
    expect(stdout).toMatch(/ panic at .*\n {4}kernel\/panic\.c: \d+\n/);
    expect(stdout).toMatch(/ vfs_write at .*\n {4}fs\/read_write\.c: \d+\n/);
  });

  test('a filtered dump, whole, flattened and split: the same; what it lacks is said in its place', () => {
    const at = (file: string): string => join(directory, file);
    expect(run('makedumpfile', '-d', '31', '-c', vmcore, at('d31')).status).toBe(0);
    expect(run('makedumpfile', '-d', '31', '-l', '--split', vmcore, at('a'), at('b')).status).toBe(0);
    for (const files of [[at('d31')], [at('b'), at('a')]]) {
      const commands = ['ps', 'mod', 'bt -a', 'log', 'bt -f'];
      for (const command of commands) {
        const { stdout, status } = run('crash', ...files, '-c', command);
        expect(status).toBe(0);
        expect(linesOf(stdout)).toEqual(theirs.get(command));
      }
      expect(run('crash', ...files, '-c', 'ps -a 1').stdout).toContain('ARG: <excluded>');
      expect(run('crash', ...files, '-c', 'sys').stdout).toContain('[PARTIAL DUMP]');
    }
  });

  test('vmcore-dmesg: the same text as that of kexec-tools', async () => {
    const kexec = await peer('kexec');
    const original = kexec.command.at(-1)!.replace(/kexec$/, 'vmcore-dmesg');
    const [loader, ...rest] = kexec.command.slice(0, -1);
    const { stdout } = spawnSync(loader!, [...rest, original, vmcore], {
      encoding: 'latin1',
      maxBuffer: 2 ** 26,
    });
    expect(stdout.length).toBeGreaterThan(10_000);
    const own = run('vmcore-dmesg', vmcore);
    expect(own.status).toBe(0);
    expect(own.stdout).toBe(stdout);
  });
});

/** What each command printed, without empty lines around it and spaces at the ends of lines. */
const linesByCommand = (output: ReadonlyMap<string, string>): Map<string, string[]> =>
  new Map([...output].map(([command, text]) => [command, linesOf(text)]));

const linesOf = (text: string): string[] =>
  text
    .replace(/\n+$/, '')
    .split('\n')
    .map((line) => line.trimEnd());
