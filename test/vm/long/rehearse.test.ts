// A rehearsal in a real virtual machine: the image of mkdumprd, loaded and crashed into by kdumpctl's own guest.
import { expect, test } from 'vitest';
import { rehearse } from '../../../src/kdump/trial/rehearsal/rehearse.ts';
import { bundle, captureImage } from '../lab/images.ts';
import { labKernel } from '../lab/kernels.ts';

const crash = async (crashBytes: number) => {
  const kernel = await labKernel('6.12');
  const image = await captureImage(kernel, {
    target: '/dev/vda',
    collector: 'makedumpfile -l --message-level 7 -d 31',
  });
  return rehearse({
    kernel: kernel.vmlinuz,
    kernelRelease: kernel.release,
    image,
    commandLine: 'nr_cpus=1 irqpoll reset_devices panic=-1 cgroup_disable=memory rootfstype=ramfs',
    kexecArgs: ['-s'],
    crashBytes,
    modulesRoot: kernel.modulesRoot,
    kexecBundle: await bundle('kexec'),
    node: process.execPath,
    accelerator: 'tcg',
    deadline: 400,
    lookBound: 150,
  });
};

test('passes in enough memory, and says how much it took', async () => {
  const verdict = await crash(192 << 20);
  expect(verdict).toMatchObject({
    passed: true,
    notProven: [],
    report: { state: 'complete', panic: expect.any(String) },
  });
  expect(verdict.memory!.lowest).toBeGreaterThan(0);
  expect(verdict.memory!.total).toBeLessThan(192 << 20);
});

test('fails in too little memory', async () => {
  expect(await crash(64 << 20)).toMatchObject({ passed: false });
});
