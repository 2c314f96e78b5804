import { version } from '../../lib/version.ts';
import { anyDirective, directiveNames } from './directives.ts';
import { hookDirectories } from './machine-checks.ts';
import { configSchema } from './schema.ts';
import { variableFiles } from './variables.ts';

/** Text as troff takes it. */
const plain = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1');

/** A head and what it means. */
export const entry = (head: string, text: string): string => `.TP\n.B ${plain(head)}\n${plain(text)}\n`;
export const section = (title: string, body: string): string => `.SH ${title}\n${body}`;
export const paragraphs = (...texts: readonly string[]): string =>
  texts.map(plain).join('\n.PP\n').concat('\n');
export const heading = (name: string, chapter: number, summary: string): string =>
  `.TH ${name.toUpperCase()} ${chapter} "" "kdump-tools ${version}"\n.SH NAME\n${plain(name)} \\- ${plain(summary)}\n`;

/** kdump.conf(5), from the tables. */
export function configManPage(): string {
  const { targets, renamed, removed, variables } = configSchema();
  return [
    heading('kdump.conf', 5, 'settings of the kdump service'),
    section(
      'DESCRIPTION',
      paragraphs(
        '/etc/kdump.conf says where the memory of a crashed kernel is saved, and how. A line is a directive and its value, separated by blanks. A # begins a comment at the beginning of a word; within a word or in double quotes it is part of the value. One pair of double quotes around the whole value is removed. Nothing in the file is executed.',
        'Every directive may stand there once, but for those that say otherwise. kdumpctl config check lists all that is wrong with the file, kdumpctl config show prints what counts and where it comes from, and kdumpctl config set changes a value.',
      ),
    ),
    section(
      'TARGETS',
      paragraphs(
        'One of these says where the dump goes. Without one it goes to the file system on which path lies.',
      ) + targets.map(({ name, syntax, doc }) => entry(`${name} ${syntax}`, doc)).join(''),
    ),
    section('DIRECTIVES', directiveNames.map(describeDirective).join('')),
    section(
      'REMOVED DIRECTIVES',
      Object.entries(removed)
        .map(([name, advice]) => entry(name, advice))
        .join('') +
        Object.entries(renamed)
          .map(([name, to]) => entry(name, `An old name of ${to}, which still works.`))
          .join(''),
    ),
    section(
      'VARIABLES',
      paragraphs(
        `${variableFiles.sysconfig} and ${variableFiles.default} hold lines NAME="value". They are read as data: a variable of the shell, a command, or += is named in a warning and not carried out. Where both files say the same thing, ${variableFiles.default} counts. What kdump.conf can say as well is read from them only where there is no kdump.conf.`,
      ) + variables.map(({ name, files, doc }) => entry(`${name} (${files.join(', ')})`, doc)).join(''),
    ),
    section(
      'FILES',
      `${paragraphs('/etc/kdump.conf', variableFiles.sysconfig, variableFiles.default, ...Object.values(hookDirectories))}`,
    ),
    section('SEE ALSO', paragraphs('kdumpctl(8), makedumpfile(8), kexec(8)')),
  ].join('');
}

function describeDirective(name: (typeof directiveNames)[number]): string {
  const { type, default: standard, doc, since, repeatable } = anyDirective(name);
  const isSet = standard !== null && !(Array.isArray(standard) && standard.length === 0);
  const facts = [
    ...(repeatable ? ['May be given several times.'] : []),
    ...(isSet ? [`Default: ${type.write(standard)}.`] : []),
    ...(since === 'kdump-tools' ? ['Not known to kdump-utils.'] : []),
  ];
  return entry(`${name} ${type.syntax}`, [doc, ...facts].join(' '));
}
