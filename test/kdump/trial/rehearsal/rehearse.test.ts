// A rehearsal with a program in the place of QEMU, which keeps what it is given and says what a guest would say.
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type CpioEntry, readCpio, writeCpio } from '../../../../src/formats/cpio.ts';
import { captureConfig } from '../../../../src/kdump/capture/config.ts';
import { words } from '../../../../src/kdump/trial/rehearsal/guest.ts';
import { type RehearsalRequest, rehearse } from '../../../../src/kdump/trial/rehearsal/rehearse.ts';
import { release, temporary, write, writeModules } from '../../image/fixture.ts';

const { root, remove } = temporary();
const image = join(root, 'capture.img');
const qemu = join(root, 'bin/qemu-system-x86_64');
const report = {
  state: 'complete',
  memory: { totalKiB: 4, lowestAvailableKiB: 2, nodePeakKiB: 1 },
  steps: [],
  errors: [],
};
const request: RehearsalRequest = {
  kernel: join(root, 'vmlinuz'),
  kernelRelease: release,
  image,
  commandLine: 'nr_cpus=1',
  kexecArgs: ['-s'],
  crashBytes: 192 << 20,
  modulesRoot: root,
  kexecBundle: join(root, 'kexec.mjs'),
  // Nothing runs it here, and it is small.
  node: '/bin/true',
  accelerator: 'tcg',
  deadline: 60,
  lookBound: 60,
};

beforeAll(() => {
  writeModules(root);
  write(
    join(root, 'lib/modules', release, 'modules.builtin'),
    ['block/loop', 'virtio/virtio_pci'].map((name) => `kernel/drivers/${name}.ko\n`).join('') +
      'kernel/fs/ext4/ext4.ko\n',
  );
  write(request.kernel, 'a kernel');
  write(request.kexecBundle, 'a program');
  const config = captureConfig({
    targets: [{ kind: 'ssh', user: 'kdump', host: 'vault' }],
    host: 'box',
    ssh: { key: '/k', knownHosts: '/h' },
    coreCollector: ['makedumpfile', '-F', '-d', '31'],
  });
  const entries = [
    { type: 'directory', path: 'etc', mode: 0o755 },
    { type: 'directory', path: 'etc/kdump', mode: 0o755 },
    { type: 'file', path: 'etc/kdump/capture.json', mode: 0o600, data: Buffer.from(JSON.stringify(config)) },
  ] as const;
  write(image, Buffer.concat([...writeCpio(entries), Buffer.from('odd')]));
  write(
    qemu,
    `#!/bin/sh
echo "$*" >> ${root}/runs
for word; do
  case $word in file:*) console=\${word#file:} ;; esac
  [ "$before" = -initrd ] && cp "$word" ${root}/initrd
  before=$word
done
case "$*" in
*kdump.look=1*) cat ${root}/answer > "$console" ;;
*) echo "rehearsal: crashing" > "$console" ;;
esac
`,
  );
  chmodSync(qemu, 0o755);
  vi.stubEnv('PATH', `${join(root, 'bin')}:${process.env.PATH}`);
  vi.stubEnv('TMPDIR', join(root, 'tmp'));
  write(join(root, 'tmp/x'), '');
});
afterAll(() => {
  vi.unstubAllEnvs();
  remove();
});
afterEach(() => expect(readdirSync(join(root, 'tmp'))).toEqual(['x']));

const only = process.arch === 'x64' ? describe : describe.skip;
only('rehearse', () => {
  it('crashes a guest that has this kernel and this image, then asks it what was saved', () => {
    writeFileSync(join(root, 'answer'), `${words.begin}\r\n${JSON.stringify(report)}\r\n${words.end}\r\n`);
    expect(rehearse(request)).toMatchObject({ passed: true, notProven: ['kdump@vault was not reached'] });

    const runs = readFileSync(join(root, 'runs'), 'utf8').trimEnd().split('\n');
    expect(runs).toHaveLength(2);
    for (const run of runs)
      expect(run).toMatch(/-kernel \S+\/vmlinuz .*crashkernel=192M.* -device virtio-blk-pci,drive=scratch/);
    expect(runs[1]).toContain('kdump.look=1');

    const entries = new Map(
      readCpio(gunzipSync(readFileSync(join(root, 'initrd')))).entries.map((entry) => [entry.path, entry]),
    );
    const data = (path: string): Buffer =>
      Buffer.from((entries.get(path) as CpioEntry & { data: Uint8Array }).data);
    expect(data('load/vmlinuz').toString()).toBe('a kernel');
    const loaded = data('load/image');
    const original = readFileSync(image);
    expect(loaded.subarray(0, original.length).equals(original)).toBe(true);
    // What is behind it takes its place, at a multiple of four.
    const behind = readCpio(loaded, Math.ceil(original.length / 4) * 4).entries;
    expect(behind.map(({ path }) => path)).toEqual([
      'etc',
      'etc/kdump',
      'modules',
      'etc/kdump/capture.json',
      'modules/900-virtio.ko',
      'modules/901-virtio_blk.ko',
    ]);
    const config = behind.find(({ path }) => path.endsWith('capture.json')) as CpioEntry & {
      data: Uint8Array;
    };
    expect(JSON.parse(Buffer.from(config.data).toString())).toMatchObject({
      targets: [{ kind: 'filesystem', device: 'LABEL=rehearsal', fstype: 'ext4' }],
      host: 'box',
    });
    expect(data('init').toString()).toContain("'--append=nr_cpus=1 console=ttyS0'");
  });

  it('fails where nothing was saved, where nothing was loaded, and where the guest has to be ended', () => {
    writeFileSync(join(root, 'answer'), `${words.failed} the capture has left no report\r\n`);
    expect(rehearse(request)).toMatchObject({
      passed: false,
      why: expect.stringContaining('has left no report'),
    });
    const before = readFileSync(join(root, 'runs'), 'utf8');
    const armFails = readFileSync(qemu, 'utf8').replace('rehearsal: crashing', `${words.failed} no room`);
    writeFileSync(qemu, armFails);
    expect(rehearse(request)).toMatchObject({ passed: false, why: expect.stringContaining('no room') });
    // There was nothing to look at.
    expect(readFileSync(join(root, 'runs'), 'utf8').split('\n')).toHaveLength(before.split('\n').length + 1);
    writeFileSync(qemu, '#!/bin/sh\nexec sleep 60\n');
    expect(rehearse({ ...request, deadline: 0.2, lookBound: 0.2 })).toMatchObject({
      passed: false,
      why: expect.stringContaining('in its time'),
    });
    expect(existsSync(image)).toBe(true);
  });
});
