import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Example = { readonly heading: string; readonly source: string };

const page = fileURLToPath(new URL('../../docs/library.md', import.meta.url));

/** The programs of docs/library.md, by the headings that they stand under; one of each heading. */
export function libraryExamples(): Example[] {
  const examples: Example[] = [];
  let heading = '';
  for (const [, title, source] of readFileSync(page, 'utf8').matchAll(
    /^#+ (.*)$|^```ts\n([\s\S]*?)^```$/gm,
  )) {
    if (title !== undefined) heading = title;
    else examples.push({ heading, source: source! });
  }
  return examples;
}
