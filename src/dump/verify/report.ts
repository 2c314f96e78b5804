import type { Example } from './findings.ts';
import type { VerifyReport } from './result.ts';

/** The report as text: one paragraph about the dump, then each kind of finding with its first examples. */
export function formatVerifyReport(report: VerifyReport): string {
  const { pages, findings } = report;
  const format = report.format === undefined ? 'no dump that can be read' : formats[report.format];
  const stored = Object.entries(pages.codecs).map(([codec, count]) => `${codec} ${count}`);
  const lines = [
    `${report.files.join(', ')}: ${format}${report.flattened ? ' in a flattened stream' : ''}`,
    `  ${pages.present} page frames described, ${pages.stored} pages stored, ${pages.whole} of them whole` +
      (stored.length > 0 ? ` (${stored.join(', ')})` : ''),
  ];
  for (const { kind, count, examples } of findings) {
    lines.push(`${kind}: ${count}`);
    for (const example of examples) lines.push(`  ${formatExample(example)}`);
    if (count > examples.length) lines.push(`  and ${count - examples.length} more`);
  }
  lines.push(report.ok ? 'Nothing is wrong with it.' : `${sum(findings)} things are wrong with it.`);
  return `${lines.join('\n')}\n`;
}

const formats = { kdump: 'kdump-compressed dump', elf: 'ELF core' } as const;

const formatExample = ({ pfn, offset, what }: Example): string =>
  [
    pfn === undefined ? '' : `page frame ${pfn}: `,
    what,
    // Sentences about descriptors have it already.
    offset === undefined || what.includes(`offset ${offset}`) ? '' : ` (offset ${offset})`,
  ].join('');

const sum = (findings: VerifyReport['findings']): number =>
  findings.reduce((total, { count }) => total + count, 0);
