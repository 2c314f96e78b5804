/** Text as it may stand in HTML, between tags or in an attribute. What a log holds is nobody's markup. */
export const escapeHtml = (text: string): string =>
  text
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
    // No document may hold these.
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '\ufffd');

/** Rows of two columns. */
export const pairs = (rows: readonly (readonly [label: string, text: string | null])[]): string =>
  `<dl>${rows
    .filter(([, text]) => text !== null && text !== '')
    .map(([label, text]) => `<div><dt>${escapeHtml(label)}</dt><dd>${escapeHtml(text!)}</dd></div>`)
    .join('')}</dl>`;

export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cells = (row: readonly string[], tag: string): string =>
    row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag.split(' ')[0]}>`).join('');
  return [
    `<div class="wide" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table><caption>${escapeHtml(caption)}</caption>`,
    `<thead><tr>${cells(head, 'th scope="col"')}</tr></thead>`,
    `<tbody>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</tbody></table></div>`,
  ].join('');
}

/** Lines as they are. One that is wide can be scrolled, by keyboard too. */
export const lines = (label: string, text: readonly string[]): string =>
  `<pre tabindex="0" role="region" aria-label="${escapeHtml(label)}">${escapeHtml(text.join('\n'))}</pre>`;

export const details = (summary: string, body: string, open = false): string =>
  `<details${open ? ' open' : ''}><summary>${escapeHtml(summary)}</summary>${body}</details>`;
