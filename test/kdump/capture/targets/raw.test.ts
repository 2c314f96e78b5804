import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  encodeRawMark,
  occupantOf,
  rawMarkOffset,
  readRawMark,
  signatureBytes,
} from '../../../../src/formats/raw-dump.ts';
import type { CaptureConfig } from '../../../../src/kdump/capture/config.ts';
import { runCapture } from '../../../../src/kdump/capture/flow.ts';
import { recoverRaw } from '../../../../src/kdump/capture/targets/recover-raw.ts';
import { testStatusName } from '../../../../src/kdump/capture/test-handshake.ts';
import { captureTools } from '../../../../src/kdump/capture/tools.ts';
import { listDumps } from '../../../../src/kdump/dumps/list.ts';
import { settleTest } from '../../../../src/kdump/trial/test-result.ts';
import { writeStatus } from '../../../../src/kdump/trial/test-status.ts';
import { textPage, writeVmcore } from '../../../helpers/vmcore.ts';
import { type Fake, fakeMachine, name, config as plain } from '../fake-machine.ts';

let fake: Fake;
let partition: string;
let crash: string;
let config: CaptureConfig;
beforeEach(() => {
  fake = fakeMachine();
  writeVmcore(join(fake.root, 'vmcore'), { content: textPage });
  partition = join(fake.root, 'partition');
  crash = join(fake.root, 'crash');
  // What an earlier use has left is no file system, and no zeros.
  writeFileSync(partition, Buffer.alloc(32 << 20, 'old'));
  config = {
    ...plain,
    targets: [{ kind: 'raw', device: partition }],
    coreCollector: ['makedumpfile', '-d', '0'],
  };
});
afterEach(() => fake.remove());
const tools = { ...captureTools, extractDmesg: () => '[ 1.0] Kernel panic - not syncing: x\n' };
const recovered = (...path: string[]): string => join(crash, name, ...path);
const isCleared = (): boolean =>
  readFileSync(partition)
    .subarray(0, 4096)
    .every((byte) => byte === 0);

describe('a raw target', () => {
  it('gives back at the next boot what a file would have got', async () => {
    const { report } = await runCapture(config, fake.machine, tools);
    expect(report.errors).toEqual([]);
    expect(report.targets).toMatchObject([{ kind: 'raw', state: 'complete', file: null }]);
    expect(recoverRaw(partition, crash)).toMatchObject({ state: 'complete', directory: recovered() });

    captureTools.collect(
      ['-d', '0', fake.machine.boot.vmcore, join(fake.root, 'dump')],
      { progress() {}, message() {} },
      {},
    );
    expect(readFileSync(recovered('vmcore')).equals(readFileSync(join(fake.root, 'dump')))).toBe(true);
    expect(JSON.parse(readFileSync(recovered('dump.json'), 'utf8'))).toMatchObject({
      state: 'complete',
      host: 'vm',
      crashTime: '2023-11-14T22:13:20.000Z',
      panic: 'Kernel panic - not syncing: x',
      recoveredFrom: partition,
    });
    expect(statSync(recovered()).mode & 0o777).toBe(0o700);
    expect(statSync(recovered('vmcore')).mode & 0o777).toBe(0o600);
    expect(isCleared()).toBe(true);
    expect(recoverRaw(partition, crash)).toBeNull();
  });

  it('gives back as much of an incomplete dump as was noted, and nothing of what lay there before', async () => {
    let pieces = 0;
    const collect: typeof tools.collect = (argv, hooks, to) => {
      const stream = (bytes: readonly Uint8Array[]): void => {
        to.stream!(bytes);
        if (++pieces === 6) throw new Error('the collector is gone');
      };
      return tools.collect(argv, hooks, { ...to, stream });
    };
    const { report } = await runCapture(config, fake.machine, { ...tools, collect });
    expect(report.targets[0]?.state).toBe('incomplete');
    expect(recoverRaw(partition, crash)).toMatchObject({ state: 'incomplete' });
    expect(readdirSync(recovered()).sort()).toContain('vmcore-incomplete');
    // Not a bad record: what lies behind the last byte that was noted is not looked at.
    expect(JSON.parse(readFileSync(recovered('dump.json'), 'utf8')).errors).toMatchObject([
      { code: 'truncated' },
    ]);
    expect(isCleared()).toBe(true);
  });

  it.each([
    ['complete', 32 << 20, true],
    ['incomplete', 2 << 20, false],
  ])('tells the test that made the crash how it went: %s', async (state, size, passed) => {
    const directory = join(fake.root, 'state');
    writeStatus(directory, { word: 'pending', id: '17', setup: 'abc' });
    const boot = { ...fake.machine.boot, testId: '17' };
    await runCapture(config, { ...fake.machine, boot }, tools);
    truncateSync(partition, size);
    recoverRaw(partition, crash);
    expect(readdirSync(crash)).toEqual(['kdump-test-17']);
    const [dump] = listDumps(crash);
    expect(dump).toMatchObject({ state, report: { testId: '17' } });
    expect(settleTest(directory, [dump!], () => null, new Date())).toMatchObject({ passed, setup: 'abc' });
    expect(readFileSync(join(crash, 'kdump-test-17', testStatusName), 'utf8')).toBe(
      `${passed ? 'success' : 'fail'} kdump_test_id=17\n`,
    );
  });

  it('makes no name of what somebody else may have put on the device', async () => {
    await runCapture(config, fake.machine, tools);
    const start = readFileSync(partition);
    const { mark } = readRawMark(start.subarray(0, 4096))!;
    encodeRawMark({ ...mark!, testId: '../../x' }).copy(start, rawMarkOffset);
    writeFileSync(partition, start);
    recoverRaw(partition, crash);
    expect(readdirSync(crash)).toEqual([name]);
  });

  it('that ends in the middle of a record is saved as far as it goes', async () => {
    await runCapture(config, fake.machine, tools);
    truncateSync(partition, 2 << 20);
    expect(recoverRaw(partition, crash)).toMatchObject({ state: 'incomplete' });
    expect(JSON.parse(readFileSync(recovered('dump.json'), 'utf8')).errors).toMatchObject([
      { code: 'truncated' },
    ]);
  });

  it('keeps its dump when that cannot be saved', async () => {
    await runCapture(config, fake.machine, tools);
    const before = readFileSync(partition);
    writeFileSync(crash, 'no directory');
    expect(() => recoverRaw(partition, crash)).toThrow();
    expect(readFileSync(partition).equals(before)).toBe(true);
  });

  it('is left alone when there is a file system on it', async () => {
    const ext = Buffer.alloc(1 << 20);
    ext.write('\x53\xef', 0x438, 'latin1');
    writeFileSync(partition, ext);
    const { report } = await runCapture(config, fake.machine, tools);
    expect(report.targets).toMatchObject([
      {
        state: 'failed',
        error: { code: 'target-occupied', message: expect.stringContaining('an ext file system') },
      },
    ]);
    expect(readFileSync(partition).equals(ext)).toBe(true);
  });
});

it.each([
  ['LUKS\xba\xbe', 0, 'a LUKS volume'],
  ['SWAPSPACE2', 4086, 'swap space'],
  ['_BHRfS_M', 0x10040, 'a btrfs'],
])('%s is a sign of an occupant', (magic, offset, occupant) => {
  const start = Buffer.alloc(signatureBytes);
  expect(occupantOf(start)).toBeUndefined();
  start.write(magic, offset, 'latin1');
  expect(occupantOf(start)).toBe(occupant);
});
