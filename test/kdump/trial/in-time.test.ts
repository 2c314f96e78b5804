import { expect, it } from 'vitest';
import { lineOf, outcomeInTime } from '../../../src/kdump/trial/target-test/in-time.ts';
import { startBeside } from '../../../src/system/beside.ts';

const mount = { step: 'mount', ok: true, detail: 'mounted on /mnt' };
const space = { step: 'space', ok: false, detail: 'no\nroom' };
const trial = (script: string, ...steps: object[]) =>
  startBeside(
    'sh',
    ['-c', `printf %s "$1"; ${script}`, 'sh', steps.map((one) => lineOf(one as never)).join('')],
    {
      stdin: 'none',
    },
  );
const outcome = (script: string, ...steps: object[]) =>
  outcomeInTime('nfs files:/x', trial(script, ...steps), 30);

it('takes the steps as they were', () => {
  expect(outcome('exit 0', mount)).toEqual({ target: 'nfs files:/x', ok: true, steps: [mount] });
  expect(outcome('exit 1', mount, space)).toEqual({
    target: 'nfs files:/x',
    ok: false,
    steps: [mount, space],
  });
});

it('says after which step nothing more came', () => {
  const hangs = trial('sleep 1000', mount);
  while (!hangs.said().includes('\n')) hangs.wait(0.05);
  const { ok, steps } = outcomeInTime('nfs files:/x', hangs, 0.1);
  expect(ok).toBe(false);
  expect(steps).toEqual([
    mount,
    { step: 'answer', ok: false, detail: expect.stringContaining('after "mount"') },
  ]);
});

it('says why a trial broke off', () => {
  expect(outcome('echo "no memory" >&2; exit 3', mount).steps.at(-1)).toEqual({
    step: 'trial',
    ok: false,
    detail: 'no memory',
  });
});
