// The Debian package through its life on a real Debian: installed, updated, removed, installed again, purged.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DebianGuest, startDebian } from '../lab/debian/guest.ts';
import { debianPackage } from '../lab/debian/road.ts';

const older = '1G-:192M';
const entry = '/boot/loader/entries/lab.conf';

const script = `
mkdir -p /disk/results
# Whether each unit is enabled, and whether a crash kernel is loaded.
look() {
  for unit in kdump kdump-early kdump-notify; do
    echo "$unit $(systemctl is-enabled $unit.service 2>/dev/null)"
  done >/disk/results/$1
  echo "loaded $(cat /sys/kernel/kexec_crash_loaded)" >>/disk/results/$1
}
package() {
  name=$1
  shift
  dpkg "$@" >/disk/results/dpkg-$name 2>&1 || finish "failed: dpkg $*: $(tail -n 3 /disk/results/dpkg-$name | tr '\\n' ' ')"
  look $name
  say "$name"
}
package installed -i /disk/kdump.deb
systemctl start kdump.service || finish "failed: not armed"
look started
say "started"
systemctl disable --quiet kdump-early.service
# As if the package had had another default when it was installed.
mkdir -p ${entry.replace(/\/[^/]*$/, '')}
echo "options crashkernel=${older} ro" >${entry}
sed -i 's/"defaultCrashkernel": .*/"defaultCrashkernel": "${older}"/' /var/lib/kdump/state.json
package updated -i /disk/kdump.deb
cp ${entry} /disk/results/entry
package removed -r kdump-tools-ts
package again -i /disk/kdump.deb
# Not the service, but somebody has armed the machine.
kdumpctl start >/disk/results/by-hand 2>&1
look by-hand-armed
package purged -P kdump-tools-ts
find /etc/systemd /var/lib/systemd /var/lib/kdump -name '*kdump*' >/disk/results/left 2>/dev/null
[ -d /var/crash ] || echo "no /var/crash" >>/disk/results/left
finish "finished"
`;

let directory: string;
let guest: DebianGuest;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-package-'));
  guest = await startDebian({
    script,
    crashkernel: '256M',
    files: { 'kdump.deb': await debianPackage() },
    deadline: 900,
  });
  await guest.finished(890);
  await guest.read('lab', '/results', join(directory, 'results'));
});
afterAll(async () => {
  await guest?.remove();
  rmSync(directory, { recursive: true, force: true });
});

const read = (name: string): string => readFileSync(join(directory, 'results', name), 'utf8');
const units = (kdump: string, early: string, notify: string, loaded: number): string =>
  `kdump ${kdump}\nkdump-early ${early}\nkdump-notify ${notify}\nloaded ${loaded}\n`;

test('is enabled with all of its units when it is installed, and arms when it is started', () => {
  expect(read('installed')).toBe(units('enabled', 'enabled', 'enabled', 0));
  expect(read('started')).toBe(units('enabled', 'enabled', 'enabled', 1));
});

test('leaves off what was switched off when it is updated, and stays armed', () => {
  expect(read('updated')).toBe(units('enabled', 'disabled', 'enabled', 1));
});

test('renews a crashkernel= that is its own older default when it is updated', () => {
  expect(read('entry')).toMatch(/^options crashkernel=2G-\S+ ro\n$/);
});

test('unloads when it is removed, and remembers what was switched off', () => {
  expect(read('removed')).toMatch(/loaded 0\n$/);
  expect(read('again')).toBe(units('enabled', 'disabled', 'enabled', 0));
});

test('unloads also what its service has not loaded, and leaves nothing but dumps when it is purged', () => {
  expect(read('by-hand-armed')).toMatch(/loaded 1\n$/);
  expect(read('purged')).toMatch(/loaded 0\n$/);
  expect(read('left')).toBe('');
});

test('the service fails, and says what to do, on a machine that has reserved no memory', async () => {
  const bare = await startDebian({
    script: `mkdir -p /disk/results
      dpkg -i /disk/kdump.deb >/disk/results/dpkg 2>&1
      systemctl start kdump.service 2>/disk/results/start
      echo $? >>/disk/results/start
      systemctl is-failed kdump.service >/disk/results/unit
      journalctl -b -u kdump.service -o cat >/disk/results/journal
      kdumpctl status >/disk/results/status
      echo $? >>/disk/results/status
      finish "finished"`,
    files: { 'kdump.deb': await debianPackage() },
    deadline: 400,
  });
  const results = join(directory, 'bare');
  try {
    await bare.finished(390);
    await bare.read('lab', '/results', results);
  } finally {
    await bare.remove();
  }
  const said = (name: string): string => readFileSync(join(results, name), 'utf8');
  expect(said('unit')).toBe('failed\n');
  expect(said('start')).toMatch(/\n1\n$/);
  expect(said('journal')).toMatch(/crashkernel=/);
  expect(said('status')).toMatch(/crashkernel=[\s\S]*\n3\n$/);
});
