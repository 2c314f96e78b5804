// What goes wrong on the machine itself while it is being dumped: each fault ends in a reboot with everything saved that
// could be, and the next boot says what happened.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFileSink } from '../../../src/dump/output/file-sink.ts';
import { salvage } from '../../../src/dump/salvage.ts';
import { verify } from '../../../src/dump/verify.ts';
import { type DebianGuest, startDebian } from '../lab/debian/guest.ts';
import { debianPackage, onlyDump, type RoadResult } from '../lab/debian/road.ts';
import { roadWalker } from '../lab/debian/walker.ts';

const walk = roadWalker({ deadline: 840 });
let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'kdump-faults-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const panicLine = 'Kernel panic - not syncing: sysrq triggered crash';
const amount = String.raw`[\d.]+ [KM]iB of about [\d.]+ MiB`;

/** Commands that make an ext4 file system on an added disk and mount it at every boot. */
const disk = (device: string, label: string) =>
  `mkfs.ext4 -q -m 0 -L ${label} ${device} && mkdir -p /mnt/${label} &&
   echo "LABEL=${label} /mnt/${label} ext4 nofail 0 0" >>/etc/fstab && mount /mnt/${label} || finish "failed: ${label}"`;

/** The dumps of an added disk, when the machine is off; its file system has to be in order. */
async function dumpOn(road: RoadResult, index: number): Promise<ReturnType<typeof onlyDump>> {
  const into = mkdtempSync(join(scratch, 'disk-'));
  expect(await road.guest.read(index, '/crash', join(into, 'crash'))).toBe(true);
  return onlyDump(join(into, 'crash'));
}

/** The dumps on the root file system. */
async function dumpInRoot(road: RoadResult, directory = '/var/crash'): Promise<ReturnType<typeof onlyDump>> {
  const into = mkdtempSync(join(scratch, 'root-'));
  expect(await road.guest.read('root', directory, join(into, 'crash'))).toBe(true);
  return onlyDump(join(into, 'crash'));
}

/** The machine is armed again, and this is what it says of its last boot. */
function expectStory(road: RoadResult, story: RegExp): void {
  const { status, text } = road.said('status-after');
  expect(text).toMatch(story);
  expect(status).toBe(0);
  expect(readFileSync(join(road.results, 'journal-after'), 'utf8')).toMatch(story);
}

describe('a target without room', () => {
  // ext4 keeps 16 MiB for itself; a disk without any room has what was kept when the machine was armed.
  test.each([
    ['is filled by the dump: it holds what fits', 28],
    ['that has none at all still takes log and report', 0],
  ])('%s, and the next boot says how much is missing', async (_, left) => {
    const road = await walk({ beforeCrash: `fill / ${left}` });
    const { path, files, report } = await dumpInRoot(road);
    expect(report).toMatchObject({ state: 'incomplete', panic: panicLine, summary: expect.any(String) });
    expect(files).toEqual([
      'dump.json',
      'kexec-dmesg.log',
      'report.html',
      'report.json',
      'vmcore-dmesg.txt',
      'vmcore-failed.txt',
      'vmcore-incomplete',
    ]);
    expect(readFileSync(join(path, 'vmcore-dmesg.txt'), 'latin1')).toContain(panicLine);
    const { findings, pages } = verify([join(path, 'vmcore-incomplete')], () => {});
    expect(findings.map(({ kind }) => kind)).toEqual(['incomplete', 'never-written']);
    expect(pages.whole).toBeGreaterThan(0);
    expectStory(
      road,
      new RegExp(`ended in a crash: /var/crash/.*, incomplete\\b.*no space left.*; ${amount}`),
    );
    expect(JSON.parse(road.said('list').text).dumps).toMatchObject([{ state: 'incomplete' }]);
  });

  test('keeps the space that min_free asks for; the next one gets the dump as far as that lets it', async () => {
    const road = await walk({
      disks: [64, 128],
      conf: 'ext4 LABEL=small\nfallback_target ext4 LABEL=larger\npath /crash\nmin_free 16M\n',
      prepare: `${disk('/dev/vdc', 'small')}; ${disk('/dev/vdd', 'larger')}; fill /mnt/small 12; fill /mnt/larger 24`,
      after: 'df -m --output=avail /mnt/larger | tail -n 1 >/disk/results/left',
    });
    const small = await dumpOn(road, 0);
    expect(small.files).not.toContain('vmcore-incomplete');
    expect(small.report.targets).toMatchObject([{ state: 'failed', error: { code: 'min-free' } }]);
    expect(readFileSync(join(small.path, 'vmcore-dmesg.txt'), 'latin1')).toContain(panicLine);
    const larger = await dumpOn(road, 1);
    expect(larger.report.targets.map(({ state }) => state)).toEqual(['failed', 'incomplete']);
    expect(larger.report.state).toBe('incomplete');
    expect(Number(readFileSync(join(road.results, 'left'), 'utf8'))).toBeGreaterThanOrEqual(15);
    expectStory(
      road,
      new RegExp(`ended in a crash: /mnt/larger/crash/.*, incomplete\\b.*\\(min_free\\); ${amount}`),
    );
  });
});

describe('a target that has gone', () => {
  const pulled = {
    disks: [128],
    prepare: 'mkfs.ext4 -q -L first /dev/vdc',
    whenArmed: (guest: DebianGuest) => guest.pullDisk(0),
    beforeCrash: `await 60 '[ ! -e /dev/vdc ]' || finish "failed: the disk is still there"`,
  };

  test('makes way for the next', async () => {
    const road = await walk({
      ...pulled,
      conf: 'ext4 LABEL=first\npath /crash\nfallback_target directory /var/crash\n',
    });
    const { path, report } = await dumpInRoot(road);
    expect(report.targets).toMatchObject([
      { state: 'failed', error: { code: 'device-missing' } },
      { state: 'complete', error: null },
    ]);
    expect(verify([join(path, 'vmcore')], () => {})).toMatchObject({ ok: true });
    expectStory(road, /ended in a crash: \/var\/crash\/.*, complete/);
  });

  test('leaves nothing when it was the only one, and the next boot knows that it was missing', async () => {
    const road = await walk({ ...pulled, conf: 'ext4 LABEL=first\npath /crash\n' });
    expect(road.log).toMatch(/LABEL=first did not appear/);
    expectStory(road, /the last boot ended .*LABEL=first (is not there|did not appear)/);
    expect(JSON.parse(road.said('list').text).unseen).toMatchObject([{ target: 'ext4 LABEL=first' }]);
  });
});

/**
 * A program that runs before the dump, and leaves another one behind: that one waits until some of the dump is written,
 * on a disk that is slow enough for that.
 */
const beside = (deed: string) => `cat >/root/beside <<'HOOK'
#!/bin/sh
node=$PPID
(
  left=600
  until grep -q 'Copying data' /run/capture.log || [ $left -eq 0 ]; do
    sleep 0.5
    left=$((left - 1))
  done
  ${deed}
) </dev/null >/dev/null 2>&1 &
HOOK
chmod 755 /root/beside`;
const slowly = {
  disks: [512],
  conf: 'ext4 LABEL=dumps\npath /crash\nkdump_pre /root/beside\n',
  whenArmed: (guest: DebianGuest) => guest.slowDisk(0, 2 ** 20),
};

describe('a capture that is ended', () => {
  test('by a signal: a second run writes down what is there', async () => {
    const road = await walk({
      ...slowly,
      prepare: `${disk('/dev/vdc', 'dumps')}; ${beside('kill -9 $node')}`,
    });
    const { path, files, report } = await dumpOn(road, 0);
    expect(report).toMatchObject({
      state: 'incomplete',
      panic: panicLine,
      targets: [{ error: { code: 'capture-died' } }],
    });
    expect(files).toEqual(
      expect.arrayContaining(['kexec-dmesg.log', 'vmcore-dmesg.txt', 'vmcore-incomplete']),
    );
    expect(readFileSync(join(path, 'kexec-dmesg.log'), 'utf8')).toContain('ended with status 137');
    expectStory(
      road,
      new RegExp(`/mnt/dumps/crash/.*, incomplete\\b.*was killed by signal 9; .*; ${amount}`),
    );
  });

  test('for want of memory: the second run says so', async () => {
    // Whoever eats the memory gives it back when the kernel has chosen the capture instead. A ramfs has no bound.
    const eat =
      'mkdir /run/eat; mount -t ramfs ramfs /run/eat; while kill -0 $node; do cat /proc/self/exe >>/run/eat/en; done; rm /run/eat/en';
    const road = await walk({ ...slowly, prepare: `${disk('/dev/vdc', 'dumps')}; ${beside(eat)}` });
    const { files, report } = await dumpOn(road, 0);
    expect(report).toMatchObject({ state: 'incomplete', targets: [{ error: { code: 'out-of-memory' } }] });
    expect(files).toEqual(expect.arrayContaining(['vmcore-dmesg.txt', 'vmcore-incomplete']));
    expectStory(
      road,
      new RegExp(
        `/mnt/dumps/crash/.*, incomplete\\b.*the capture kernel ran out of memory: .*\\(node\\).*; ${amount}`,
      ),
    );
  });

  test('before it begins, in a crash kernel that has not even the memory for its image', async () => {
    const road = await walk({ crashkernel: '96M' });
    // What is unpacked decides whether a shell can still write why; in any case the next boot knows.
    expectStory(road, /the last boot ended (in a crash: .*, without a vmcore|without a shutdown)/);
    expect(road.log).toMatch(/Initramfs unpacking failed|Out of memory|out of memory/);
  });
});

test('settings that are damaged cost nothing: neither a restart nor a crash', async () => {
  const road = await walk({
    conf: 'path /dumps\n',
    prepare: 'mkdir /dumps',
    beforeCrash: `printf 'nonsense 1\\nretain_count many\\nnfs nowhere\\n\\001\\377\\n' >/etc/kdump.conf
      ctl refused restart
      cat /sys/kernel/kexec_crash_loaded >/disk/results/still-armed`,
  });
  const refused = road.said('refused');
  expect(refused.status).toBe(1);
  expect(refused.text).toContain('the machine stays armed as it was');
  for (const line of [1, 2, 3, 4]) expect(refused.text).toMatch(new RegExp(`/etc/kdump.conf:${line}:`));
  expect(readFileSync(join(road.results, 'still-armed'), 'utf8')).toBe('1\n');
  const { report } = await dumpInRoot(road, '/dumps');
  expect(report).toMatchObject({ state: 'complete', errors: [] });
  // Found where it was saved, though no settings name the place any more.
  expectStory(road, /ended in a crash: \/dumps\/.*, complete/);
  expect(JSON.parse(road.said('list').text).dumps).toHaveLength(1);
  expect(road.said('status-after').text).toMatch(/FAIL +settings: 4 errors/);
  const journal = readFileSync(join(road.results, 'journal-after'), 'utf8');
  expect(journal).toMatch(/\/etc\/kdump\.conf:1:[\s\S]*armed[\s\S]*Starting kdump: \[FAILED\]/);
});

test('a loss of power in the middle of the dump leaves the file systems in order, and a part that says that it is one', async () => {
  const road = await walk({
    ...slowly,
    conf: 'ext4 LABEL=dumps\npath /crash\ncore_collector makedumpfile -l -d 1\n',
    prepare: disk('/dev/vdc', 'dumps'),
    during: {
      says: /Copying data/,
      act: async (guest) => {
        for (let lines = 0; lines < 2; lines++) await guest.console.waitFor(/Copying data/, 120);
        await guest.powerCut();
        await guest.powerOn();
      },
    },
  });
  const { path, files, report } = await dumpOn(road, 0);
  expect(report).toMatchObject({ state: 'incomplete', panic: panicLine, action: null });
  expect(existsSync(join(path, 'vmcore'))).toBe(false);
  expect(files).toContain('vmcore-dmesg.txt');
  expectStory(road, /\/mnt\/dumps\/crash\/.*, incomplete\b.*the capture was cut short/);
  expect(JSON.parse(road.said('list').text).dumps).toMatchObject([
    { state: 'incomplete', panic: panicLine, summary: expect.stringContaining('sysrq') },
  ]);
  // What had come to the disk can be read.
  const saved = join(scratch, 'saved');
  const sink = openFileSink(saved, { overwrite: false });
  const { pages } = salvage([join(path, 'vmcore-incomplete')], sink, () => {});
  sink.close();
  expect(pages.kept).toBeGreaterThan(0);
  const verdict = verify([saved], () => {});
  expect(verdict.findings.map(({ kind }) => kind)).toEqual(['incomplete']);
  expect(verdict.pages.whole).toBe(pages.kept);
});

test('a reboot that was asked for is no fault', async () => {
  const guest = await startDebian({
    script: `case $phase in
      first)
        dpkg -i /disk/kdump.deb >/dev/null 2>&1 && systemctl enable --now kdump.service || finish "failed: not armed"
        say "marks $(ls /var/lib/kdump | grep -c '^boot-')"
        next_phase second
        trap - EXIT
        systemctl reboot
        sleep 120
        ;;
      second)
        await 60 'systemctl is-system-running --wait >/dev/null'
        say "marks $(ls /var/lib/kdump | grep -c '^boot-')"
        say "status: $(kdumpctl status)"
        finish "finished"
        ;;
    esac`,
    crashkernel: '256M',
    files: { 'kdump.deb': await debianPackage() },
    deadline: 600,
  });
  try {
    await guest.says(/lab: marks 1/, 500);
    await guest.says(/lab: marks 1/, 500);
    await guest.finished(500);
    expect(guest.console.text()).toMatch(/lab: status: kdump: Kdump is operational/);
    expect(guest.console.text()).not.toContain('the last boot ended');
  } finally {
    await guest.remove();
  }
});
