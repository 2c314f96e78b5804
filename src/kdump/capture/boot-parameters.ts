import { readText } from '../../system/proc.ts';
import { paths } from './paths.ts';
import { isTestId, testParameter } from './test-handshake.ts';

/** What the capture kernel's command line says to the capture. */
export type BootParameters = {
  /** kdump_test_id=: this crash was made by `kdumpctl test`, which looks for a result under this name. */
  readonly testId: string | null;
  /** kdump.rehearsal=1: nothing has crashed; the very image is tried with a stand-in for the vmcore. */
  readonly rehearsal: boolean;
  /** kdump.vmcore=: that stand-in. */
  readonly vmcore: string;
};

/** @param root directory that stands in for / */
export function readBootParameters(root = '/'): BootParameters {
  const words = (readText(root, 'proc/cmdline') ?? '').trim().split(/\s+/);
  const wordOf = (name: string): string | undefined =>
    words.findLast((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  const testId = wordOf(testParameter);
  const rehearsal = wordOf('kdump.rehearsal') === '1';
  const vmcore = wordOf('kdump.vmcore');
  return {
    testId: isTestId(testId) ? testId : null,
    rehearsal,
    // Never in a real capture: there is one vmcore then.
    vmcore: rehearsal && vmcore?.startsWith('/') ? vmcore : paths.vmcore,
  };
}
