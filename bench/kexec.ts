// Our kexec against Debian's, turn by turn: what is asked most often on this machine, loads in a guest of the lab.
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runGuest } from '../test/vm/lab/guest.ts';
import { guestImage, kexecProgram } from '../test/vm/lab/images.ts';
import { labKernel } from '../test/vm/lab/kernels.ts';
import { type Peer, peer, peerFiles } from '../test/vm/lab/peers.ts';
import { median } from './run.ts';
import { formatTable } from './table.ts';

/** Seconds of each run of a command; `node` is node alone, which starts and ends. */
type Times = { readonly theirs: number[]; readonly ours: number[]; readonly node: number[] };

const asked = ['--help', '-p -S'];
const loads = ['-p -c', '-p -s', '-p -a'];
const memory = 1024;

/** Prints medians of `rounds` runs of each command, and the ratio of theirs / ours; above 1 ours is faster. */
export async function compareKexec(rounds: number): Promise<void> {
  const debian = await peer('kexec');
  const kernel = await labKernel('6.12');
  const initrd = await guestImage(kernel);
  const mebibytes = (path: string): string => `${(statSync(path).size / 2 ** 20).toFixed(0)} MiB`;
  console.log(
    `\nkexec: kexec-tools ${debian.version}, node ${process.version}; seconds, median of ${rounds}; ratio: theirs / ours\n` +
      `loads in an emulated guest, kernel ${kernel.release} of ${mebibytes(kernel.vmlinuz)}, initrd of ${mebibytes(initrd)}\n`,
  );
  const rows = asked.map((words) => row(`${words}, here`, onThisMachine(debian, words.split(' '), rounds)));
  for (const [words, times] of await inGuest(debian, kernel, initrd, rounds))
    rows.push(row(`${words}, guest`, times));
  console.log(formatTable([['kexec', 'theirs', 'ours', 'ratio', 'of it node'], ...rows]));
}

function row(name: string, { theirs, ours, node }: Times): string[] {
  const [their, our] = [median(theirs), median(ours)];
  return [name, their.toFixed(3), our.toFixed(3), (their / our).toFixed(2), median(node).toFixed(3)];
}

function onThisMachine(debian: Peer, words: readonly string[], rounds: number): Times {
  const seconds = (command: readonly string[]): number => {
    const began = performance.now();
    const { error } = spawnSync(command[0]!, command.slice(1));
    if (error !== undefined) throw error;
    return (performance.now() - began) / 1000;
  };
  const times: Times = { theirs: [], ours: [], node: [] };
  for (let round = -1; round < rounds; round++) {
    const theirs = seconds([...debian.command, ...words]);
    const ours = seconds([process.execPath, resolve('bin/kexec'), ...words]);
    const node = seconds([process.execPath, '--eval', '0']);
    // What was not in the page cache yet is there after a round that does not count.
    if (round < 0) continue;
    times.theirs.push(theirs);
    times.ours.push(ours);
    times.node.push(node);
  }
  return times;
}

/** Loads by each way, timed by the guest's own clock in steps of 10 ms. */
async function inGuest(
  debian: Peer,
  kernel: Awaited<ReturnType<typeof labKernel>>,
  initrd: string,
  rounds: number,
): Promise<Map<string, Times>> {
  const ours = Object.entries(await kexecProgram()).map(([name, path]) => [`kdump/${name}`, path] as const);
  const guest = await runGuest({
    kernel,
    append: 'crashkernel=192M',
    memory,
    diskSize: 512,
    deadline: 120 + 60 * rounds,
    files: {
      ...Object.fromEntries(ours),
      ...(await peerFiles(debian)),
      'boot/vmlinuz': kernel.vmlinuz,
      'boot/initrd': initrd,
    },
    script: `
mkdir -p /var/lib /disk/state
ln -s /disk/state /var/lib/kdump
files="/disk/boot/vmlinuz --initrd=/disk/boot/initrd --append=console=ttyS0"
theirs() { /disk/peer/ld.so --library-path /disk/peer /disk/peer/kexec "$@"; }
ours() { node /disk/kdump/kexec.mjs "$@"; }
now() { read -r up rest </proc/uptime; }
measure() {
  now; began=$up
  case $program in
  node) node --eval 0 ;;
  *) $program $way $files ;;
  esac 2>/disk/results/errors || finish "failed: $program $way: $(cat /disk/results/errors)"
  now
  echo "$round|$way|$program|$began|$up" >>/disk/results/times
}
round=-1
while [ $round -lt ${rounds} ]; do
  for way in ${loads.map((words) => `"${words}"`).join(' ')}; do
    for program in theirs ours node; do measure; done
  done
  round=$((round + 1))
done
finish finished`,
  });
  try {
    const times = new Map(loads.map((words): [string, Times] => [words, { theirs: [], ours: [], node: [] }]));
    for (const line of readFileSync(join(guest.results, 'times'), 'utf8').trim().split('\n')) {
      const [round, words, program, began, ended] = line.split('|') as [
        string,
        string,
        keyof Times,
        string,
        string,
      ];
      if (Number(round) >= 0) times.get(words)![program].push(Number(ended) - Number(began));
    }
    return times;
  } finally {
    guest.remove();
  }
}
