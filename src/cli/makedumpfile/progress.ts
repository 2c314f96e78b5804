import type { Progress } from '../../lib/progress.ts';
import { progressLine } from '../../lib/progress.ts';

/** Progress on standard error: one line a second at most, and one when a step is done, each over the last. */
export function progressOnStderr(): Progress {
  let label = '';
  let began = 0;
  let shown = 0;
  let count = 0;
  return (step, done, total) => {
    const now = performance.now();
    if (step !== label) {
      label = step;
      began = now;
      shown = 0;
    }
    if (done < total && now - shown < 1000) return;
    shown = now;
    process.stderr.write(progressLine(step, done, total, (now - began) / 1000, count++));
    if (done >= total) process.stderr.write('\n');
  };
}
