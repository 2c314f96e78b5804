// The whole road as an administrator walks it: the package installed, the service enabled, a crash, and what is there
// when the machine is up again.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DumpReport } from '../../../../src/kdump/capture/report.ts';
import { bundle, repository } from '../images.ts';
import { check } from '../process.ts';
import { type DebianGuest, type DebianOptions, startDebian } from './guest.ts';

/** The package, built from the bundles of today. */
export async function debianPackage(): Promise<string> {
  await bundle('kdumpctl');
  const stdout = await check(process.execPath, [repository('scripts/deb.mjs')], { timeout: 120_000 });
  const built = /built (\S+\.deb)/.exec(stdout)?.[1];
  if (built === undefined) throw new Error(`deb.mjs said ${stdout}`);
  return repository(built);
}

export type RoadOptions = Partial<
  Omit<DebianOptions, 'script' | 'files' | 'diskSize' | 'crashkernel' | 'deadline'>
> & {
  /** Text of /etc/kdump.conf; undefined for a machine without one. */
  conf?: string;
  crashkernel?: string;
  /** Shell commands before the service is enabled, and just before the crash. */
  prepare?: string;
  beforeCrash?: string;
  /** Shell commands when the machine is up again. */
  after?: string;
  /** What the host does when the machine is armed; the guest waits for it, at most a minute. */
  whenArmed?: (guest: DebianGuest) => Promise<void>;
  /** What the host does while the capture runs, once its console matches. */
  during?: { says: RegExp; act: (guest: DebianGuest) => Promise<void> };
  deadline?: number;
};

export type RoadResult = {
  guest: DebianGuest;
  /** Everything the console said since the last start. */
  log: string;
  /** Files of /disk/results, as the guest wrote them. */
  results: string;
  /** What `kdumpctl` said: before the crash and after it. */
  said(name: string): { status: number; text: string };
  remove(): Promise<void>;
};

const script = (options: RoadOptions): string => `
ctl() {
  name=$1
  shift
  kdumpctl "$@" >/disk/results/$name 2>&1
  echo $? >/disk/results/$name.status
}
mkdir -p /disk/results
case $phase in
first)
  dpkg -i /disk/kdump.deb >/disk/results/dpkg 2>&1 || finish "failed: dpkg: $(tail -n 3 /disk/results/dpkg | tr '\\n' ' ')"
  [ -e /disk/kdump.conf ] && cp /disk/kdump.conf /etc/kdump.conf
  ${options.prepare ?? ''}
  systemctl enable --now kdump.service >/disk/results/enable 2>&1
  echo $? >/disk/results/enable.status
  journalctl -b -u kdump.service -o cat >/disk/results/journal
  ctl status status
  ctl status-json status --json
  [ "$(cat /sys/kernel/kexec_crash_loaded)" = 1 ] || finish "failed: not armed: $(tail -n 5 /disk/results/journal | tr '\\n' ' ')"
  say "armed"
  next_phase second
  ${options.whenArmed === undefined ? '' : `say "host please"; await 60 '[ -e /run/go-on ] || sleep 8'`}
  ${options.beforeCrash ?? ''}
  sync
  say "crashing"
  echo c >/proc/sysrq-trigger
  ;;
second)
  say "up again"
  await 60 'systemctl is-system-running --wait >/disk/results/system-after'
  ctl list list --json
  ctl show show --json
  ctl status-after status
  ctl status-after-json status --json
  journalctl -b -u kdump.service -u kdump-notify.service -o cat >/disk/results/journal-after
  ${options.after ?? ''}
  finish "finished"
  ;;
esac
`;

/** Walks the road. The caller removes what is left of it in every case. */
export async function walkRoad(options: RoadOptions): Promise<RoadResult> {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-road-'));
  const { conf, crashkernel = '256M', deadline, whenArmed, during, ...machine } = options;
  const guest = await startDebian({
    memory: 1024,
    ...machine,
    script: script(options),
    crashkernel,
    files: {
      'kdump.deb': await debianPackage(),
      ...(conf === undefined ? {} : { 'kdump.conf': { text: conf } }),
    },
    deadline: deadline ?? 420,
  });
  const remove = async () => {
    await guest.remove();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    if (whenArmed !== undefined) {
      await guest.says(/\blab: host please/, deadline ?? 480);
      await whenArmed(guest);
    }
    if (during !== undefined) {
      await guest.console.waitFor(during.says, deadline ?? 600);
      await during.act(guest);
    }
    await guest.finished(deadline ?? 400);
    const results = join(directory, 'results');
    await guest.read('lab', '/results', results);
    const read = (name: string) => readFileSync(join(results, name), 'utf8');
    return {
      guest,
      log: guest.console.text(),
      results,
      said: (name) => ({ status: Number(read(`${name}.status`)), text: read(name) }),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The only dump below a directory of the host, and what it says of itself. */
export function onlyDump(parent: string): { path: string; files: string[]; report: DumpReport } {
  const names = readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'lost+found')
    .map((entry) => entry.name);
  if (names.length !== 1) throw new Error(`${parent} holds ${names.join(', ') || 'nothing'}`);
  const path = join(parent, names[0]!);
  return {
    path,
    files: readdirSync(path).sort(),
    report: JSON.parse(readFileSync(join(path, 'dump.json'), 'utf8')) as DumpReport,
  };
}
