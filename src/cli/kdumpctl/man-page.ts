import { entry, heading, paragraphs, section } from '../../kdump/config/man-page.ts';
import { verbs } from './verbs.ts';

/** kdumpctl(8), from the table of verbs. */
export function commandManPage(): string {
  return [
    heading('kdumpctl', 8, 'arm a machine with a crash kernel, and look after its dumps'),
    section('SYNOPSIS', '.B kdumpctl\n.I VERB\n.RI [ OPTION ]...\n'),
    section(
      'DESCRIPTION',
      paragraphs(
        'kdumpctl is the way to the kdump service: its settings, what is armed, and what was saved. kdumpctl VERB --help explains the options of a verb.',
      ),
    ),
    section(
      'VERBS',
      Object.entries(verbs)
        .map(([name, { usage, summary }]) => entry(`${name} ${usage}`.trimEnd(), summary))
        .join(''),
    ),
    section(
      'EXIT STATUS',
      paragraphs('0 when all went well, 1 when not; what a verb says besides is said with it.'),
    ),
    section('SEE ALSO', paragraphs('kdump.conf(5), kexec(8), makedumpfile(8)')),
  ].join('');
}
