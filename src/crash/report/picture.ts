import type { MemoryByKind } from '../../kernel/memory-use.ts';
import { escapeHtml } from './html-text.ts';

const [width, height] = [720, 28];

/** How memory was used, as a bar: one drawing that needs nothing but itself, with a table below it that says the same. */
export function memoryPicture({ total, uses }: MemoryByKind): string {
  let x = 0;
  const bars = uses.map(({ kind, bytes }, i) => {
    const size = total === 0 ? 0 : (bytes / total) * width;
    const bar = `<rect class="use use-${i}" x="${x.toFixed(1)}" y="0" width="${size.toFixed(1)}" height="${height}"><title>${escapeHtml(`${kind}: ${sizeText(bytes)}`)}</title></rect>`;
    x += size;
    return bar;
  });
  const label = uses.map(({ kind, bytes }) => `${kind} ${percent(bytes, total)}`).join(', ');
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(`Memory: ${label}`)}" preserveAspectRatio="none">${bars.join('')}</svg>`;
}

export const percent = (part: number, whole: number): string =>
  whole === 0 ? '0 %' : `${((part / whole) * 100).toFixed(1)} %`;

/** '511.5 MiB'. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
