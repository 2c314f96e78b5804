import { KdumpError } from '../../lib/errors.ts';
import type { Report } from './build.ts';
import { reportHtml } from './html.ts';
import { reportMarkdown } from './markdown.ts';

export type ReportFormat = 'html' | 'json' | 'md';

/** What the name of a file wants to be written into it. @throws KdumpError `usage` */
export function reportFormatOf(path: string): ReportFormat {
  const [, ending] = /\.(html|json|md)$/i.exec(path) ?? [];
  if (ending !== undefined) return ending.toLowerCase() as ReportFormat;
  throw new KdumpError('usage', `option '--report': ${path} tells no format`, {
    fix: 'End the name of the file with .html, .json or .md.',
  });
}

/** A report as the text of a file. */
export function renderReport(report: Report, format: ReportFormat): string {
  if (format === 'html') return reportHtml(report);
  return format === 'md' ? reportMarkdown(report) : `${JSON.stringify(report, null, 2)}\n`;
}
