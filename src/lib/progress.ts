/** Receives the progress of one step; `done` and `total` in the step's own unit. */
export type Progress = (label: string, done: number, total: number) => void;

const spinner = '/|\\-';

/**
 * Renders makedumpfile's progress line, which scripts and people know:
 * `\r`, the label padded to 50, percent with one decimal, a spinner, an ETA right-aligned in 16.
 * @param count how many lines were shown before, for the spinner
 * @param elapsed seconds since the step began
 */
export function progressLine(
  label: string,
  done: number,
  total: number,
  elapsed: number,
  count: number,
): string {
  const ratio = total > 0 ? Math.min(1, done / total) : 1;
  const percent = Math.floor(ratio * 1000) / 10;
  const shown = percent.toFixed(1).padStart(5);
  return `\r${label.padEnd(50)}: [${shown} %] ${spinner[count % spinner.length]}  ${formatEta(ratio, elapsed).padStart(16)}`;
}

/** `eta: 42s`, `eta: 12m3s`, `eta: 5h10m`, `eta: 3d4h`, `eta: >100day`; empty before the first percent mark. */
export function formatEta(ratio: number, elapsed: number): string {
  if (ratio <= 0) return '';
  const seconds = Math.round((elapsed * (1 - ratio)) / ratio);
  if (seconds < 100) return `eta: ${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return `eta: ${minutes}m${seconds % 60}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `eta: ${hours}h${minutes % 60}m`;
  const days = Math.floor(hours / 24);
  return days < 100 ? `eta: ${days}d${hours % 24}h` : 'eta: >100day';
}
