// The shell on the kernel that it runs on, against what that kernel itself says of the same things.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GuestResult, runGuest } from './lab/guest.ts';
import { bundle, workloadProgram } from './lab/images.ts';
import { labKernel } from './lab/lab.ts';

/** What the shell is told; a line with ! is for the guest. */
const commands = `
sys > /disk/results/sys
ps -G > /disk/results/ps
mod > /disk/results/mod
kmem -i > /disk/results/kmem
log > /disk/results/log
foreach sleep bt > /disk/results/bt
bt > /disk/results/own
!sleep 2000 >/dev/null 2>&1 & echo $PPID >/disk/results/own-pid
foreach sleep bt > /disk/results/bt-again
`;

const script = `
processes() {
  for directory in /proc/[0-9]*; do
    { read -r comm <$directory/comm; } 2>/dev/null && echo "\${directory#/proc/} $comm"
  done
}
sleep 1000 &
usleep 200000
cat /proc/$!/stack >/disk/results/stack
for file in modules meminfo loadavg; do
  cat /proc/$file >/disk/results/$file
done
processes >/disk/results/before
node /disk/lab/crash.mjs </disk/lab/commands >/disk/results/output 2>&1 || finish "failed: crash"
processes >/disk/results/after
cat /proc/uptime >/disk/results/uptime
node /disk/lab/vmcore-dmesg.mjs /proc/kcore >/disk/results/vmcore-dmesg 2>&1 || finish "failed: vmcore-dmesg"
dmesg >/disk/results/dmesg
finish "finished"
`;

let guest: GuestResult;
const read = (name: string): string => readFileSync(join(guest.results, name), 'utf8');
const lines = (name: string): string[] => read(name).trimEnd().split('\n');

beforeAll(async () => {
  const { 'koffi.node': koffi } = await workloadProgram();
  guest = await runGuest({
    kernel: await labKernel('6.12'),
    files: {
      'lab/crash.mjs': await bundle('crash'),
      'lab/vmcore-dmesg.mjs': await bundle('vmcore-dmesg'),
      'lab/koffi.node': koffi!,
      'lab/commands': { text: commands },
    },
    script,
  });
});
afterAll(() => guest?.remove());

test('the banner says that the kernel runs, and shows who asks', () => {
  const output = read('output');
  expect(output).toMatch(/^ +DUMPFILE: \/proc\/kcore +\[LIVE\]$/m);
  expect(output).toMatch(new RegExp(`^ +PID: ${read('own-pid').trim()}$`, 'm'));
  expect(output).toMatch(/^ +STATE: TASK_RUNNING \(ACTIVE\)$/m);
  expect(output).not.toMatch(/PANIC|damage|not in the dump/);
  const [, hours, minutes, seconds] = /UPTIME: (\d+):(\d+):(\d+)/.exec(read('sys'))!.map(Number);
  const uptime = Number(read('uptime').split(' ')[0]);
  expect(hours! * 3600 + minutes! * 60 + seconds!).toBeGreaterThan(0);
  expect(hours! * 3600 + minutes! * 60 + seconds!).toBeLessThanOrEqual(uptime);
});

test('tasks are those of /proc', () => {
  const tasks = (name: string): Map<string, string> =>
    new Map(lines(name).map((line) => [line.split(' ', 1)[0]!, line.slice(line.indexOf(' ') + 1)]));
  const [before, after] = [tasks('before'), tasks('after')];
  const ours = new Map(
    lines('ps')
      .slice(1)
      .map((line) => line.replace(/^>/, ' ').trim().split(/\s+/))
      .map(([pid, , , , , , , , ...comm]) => [pid!, comm.join(' ').replace(/^\[(.*)\]$/, '$1')]),
  );
  const stayed = [...before].filter(([pid, comm]) => after.get(pid) === comm);
  expect(stayed.length).toBeGreaterThan(20);
  for (const [pid, comm] of stayed)
    expect(comm.startsWith(ours.get(pid) ?? '?'), `${pid} ${comm}`).toBe(true);
  // Workers of the kernel come and go; the shell itself is among those that have gone.
  const strangers = [...ours.keys()].filter((pid) => pid !== '0' && !before.has(pid) && !after.has(pid));
  expect(strangers).toContain(read('own-pid').trim());
  expect(strangers.length).toBeLessThan(5);
});

test('a task that sleeps has the stack that the kernel says', () => {
  const functions = (name: string): string[] =>
    lines(name).flatMap((line) => /^ *#\d+ \[\w+\] (\S+) at /.exec(line)?.[1] ?? []);
  const theirs = lines('stack').map((line) => /\] ([\w.]+)\+/.exec(line)![1]!);
  expect(theirs.length).toBeGreaterThan(3);
  const ours = functions('bt');
  expect(ours.slice(-theirs.length)).toEqual(theirs);
  expect(ours[0]).toBe('__schedule');
  // The second one was started when the first trace had been made.
  expect(functions('bt-again')).toEqual([...ours, ...ours]);
  expect(read('own')).toMatch(/^\(active\)$/m);
});

test('modules and memory are those of /proc', () => {
  const theirs = lines('modules').map((line) => line.split(' ', 2));
  const ours = lines('mod')
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  expect(ours.map(([, name, , size]) => [name, size]).sort()).toEqual(theirs.sort());
  const kilobytes = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(read('meminfo'))![1]);
  const pages = (name: string): number => Number(new RegExp(`${name}\\s+(\\d+)`).exec(read('kmem'))![1]);
  expect(pages('TOTAL MEM') * 4).toBe(kilobytes('MemTotal'));
  // Node has come and taken its part meanwhile.
  expect(pages('FREE') * 4).toBeLessThan(kilobytes('MemFree'));
  expect(pages('FREE') * 4).toBeGreaterThan(kilobytes('MemFree') / 2);
});

test('the log is that of dmesg, by log and by vmcore-dmesg', () => {
  const texts = (name: string): string[] =>
    lines(name).map((line) => line.replace(/^\[[ \d.]+\] | {15}/, ''));
  const theirs = texts('dmesg');
  for (const ours of [texts('log'), texts('vmcore-dmesg')]) {
    expect(ours.length).toBeGreaterThan(100);
    expect(ours).toEqual(theirs.slice(0, ours.length));
  }
});
