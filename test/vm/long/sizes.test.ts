// How much memory the capture takes, and the smallest crashkernel= with which it works: the same machine crashes again
// and again, with less and less of what it reserves. Prints a table.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { DumpReport } from '../../../src/kdump/capture/report.ts';
import { type Estimate, measuredNeed } from '../../../src/kdump/service/estimate.ts';
import { startDebian } from '../lab/debian/guest.ts';
import { debianPackage } from '../lab/debian/road.ts';
import { type Server, startServer } from '../lab/debian/server.ts';
import type { KernelName } from '../lab/kernels.ts';
import type { NetworkEnd } from '../lab/network.ts';

const MIB = 2 ** 20;
/** Of the table for a machine of 2 GiB, and what the kernel and the image alone take; MiB. */
const most = 256;
const tooLittle = 96;
const step = 16;
/** Seconds for the image to be built, and for each crash with all that follows. */
const building = 400;
const crashing = 300;
/** Halving takes no more of them. */
const crashes = 6;
const deadline = building + crashes * crashing;

type Way = {
  kernel: KernelName;
  target: string;
  conf: string;
  /** Shell: the directory of dumps in $at, and a command in $there that runs a line where that is. */
  where: string;
};
const ssh = 'there="ssh -o BatchMode=yes kdump@server"; at=/srv/ssh';
const local = 'there="sh -c"; at=/var/crash';
const nfs = 'mkdir -p /mnt/nfs; mount -t nfs4 server:/srv/nfs /mnt/nfs; there="sh -c"; at=/mnt/nfs/crash';
const ways: Way[] = [
  { kernel: '6.1', target: 'local', conf: 'path /var/crash\n', where: local },
  { kernel: '6.12', target: 'local', conf: 'path /var/crash\n', where: local },
  {
    kernel: '6.1',
    target: 'ssh',
    conf: 'ssh kdump@server\nsshkey /root/.ssh/id_ed25519\npath /srv/ssh\n',
    where: ssh,
  },
  { kernel: '6.1', target: 'nfs', conf: 'nfs server:/srv/nfs\npath crash\n', where: nfs },
];

/** Each boot says how the size that the last one crashed with went, and crashes with half of what is left to try. */
const script = (where: string) => `
value() {
  cat /disk/lab/$1
}
if [ $phase = first ]; then
  mkdir -p /disk/results /var/crash
  dpkg -i /disk/kdump.deb >/disk/results/dpkg 2>&1 || finish "failed: dpkg"
  cp /disk/kdump.conf /etc/kdump.conf
  kdumpctl estimate --json >/disk/results/estimate.json || finish "failed: no estimate"
  echo ${tooLittle} >/disk/lab/fails
  size=${most}
else
  ${where}
  size=$(value size)
  $there "cat $at/*/dump.json; rm -rf $at/*" >/disk/results/$size.json 2>/dev/null
  if node -e "process.exit(JSON.parse(require('fs').readFileSync(0)).state === 'complete' ? 0 : 1)" </disk/results/$size.json 2>/dev/null; then
    echo $size >/disk/lab/works
    say "result $size works"
  else
    echo $size >/disk/lab/fails
    say "result $size fails"
  fi
  [ -e /disk/lab/works ] || finish "failed: even ${most} MiB are too little"
  [ $(($(value works) - $(value fails))) -gt ${step} ] || finish "finished"
  size=$(((($(value works) + $(value fails)) / 2 / ${step}) * ${step}))
fi
echo $size >/disk/lab/size
next_phase trying
[ $size = ${most} ] || echo $((size * ${MIB})) >/sys/kernel/kexec_crash_size
say "trying $(($(cat /sys/kernel/kexec_crash_size) / ${MIB}))"
kdumpctl start || { say "not armed"; reboot -f -f; }
sync
echo c >/proc/sysrq-trigger
`;

type Sizes = { estimate: Estimate; peak: number; smallest: number };

/** @returns what the guest has found, in bytes */
async function findSizes({ kernel, conf, where }: Way, network: NetworkEnd | undefined): Promise<Sizes> {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-sizes-'));
  const guest = await startDebian({
    kernel,
    script: script(where),
    crashkernel: `${most}M`,
    memory: 2048,
    files: { 'kdump.deb': await debianPackage(), 'kdump.conf': { text: conf } },
    deadline,
    ...(network === undefined ? {} : { network }),
  });
  try {
    const over = /\blab: (finished|failed)/;
    await guest.console.waitFor(/\blab: (trying|failed)/, building);
    for (let attempt = 0; attempt <= crashes; attempt++) {
      try {
        const line = await guest.console.waitFor(/\blab: (result|finished|failed)/, crashing);
        if (over.test(line.text)) break;
      } catch {
        // A kernel in too little memory may stand still instead of ending.
        await guest.machine.qmp.execute('system_reset');
      }
    }
    if (!/\blab: finished/.test(guest.console.text())) throw guest.console.error('no size was found');
    await guest.machine.finished;
    expect(await guest.read('lab', '/results', join(directory, 'results'))).toBe(true);
    expect(await guest.read('lab', '/lab', join(directory, 'lab'))).toBe(true);
    const read = (name: string) => readFileSync(join(directory, name), 'utf8');
    return {
      estimate: JSON.parse(read('results/estimate.json')) as Estimate,
      peak: measuredNeed(JSON.parse(read(`results/${most}.json`)) as DumpReport)!,
      smallest: Number(read('lab/works')) * MIB,
    };
  } finally {
    await guest.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

const table: Record<string, Record<string, string>> = {};
const mebibytes = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`;
afterAll(() => console.table(table));

async function tell(way: Way, network?: NetworkEnd): Promise<void> {
  const { estimate, peak, smallest } = await findSizes(way, network);
  table[`${way.target}, ${way.kernel}`] = {
    estimated: mebibytes(estimate.needed),
    [`peak with ${most}M`]: mebibytes(peak),
    smallest: mebibytes(smallest),
  };
  // What is told before the first crash is enough, and not far from what is.
  expect(estimate.needed).toBeGreaterThanOrEqual(smallest);
  expect(estimate.needed).toBeLessThanOrEqual(smallest + 64 * MIB);
  expect(estimate.recommended).toBeGreaterThanOrEqual(peak);
}

test.each(ways.filter(({ target }) => target === 'local'))(
  'on a disk of its own, with $kernel',
  (way) => tell(way),
  (deadline + 100) * 1000,
);

test(
  'on another machine',
  async () => {
    let server: Server | undefined;
    try {
      server = await startServer({ deadline: 2 * deadline + 200 });
      for (const way of ways.filter(({ target }) => target !== 'local')) await tell(way, server.network);
    } finally {
      await server?.remove();
    }
  },
  (2 * deadline + 400) * 1000,
);
