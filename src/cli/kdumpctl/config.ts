import type { Argv } from 'yargs';
import { directiveNames, isDirective, renamedDirectives } from '../../kdump/config/directives.ts';
import { type Edit, editConfigFile } from '../../kdump/config/edit.ts';
import { readBounded } from '../../kdump/config/files.ts';
import { describeFinding, type Finding, isError } from '../../kdump/config/finding.ts';
import { describeOrigin, listSettings, printSetting } from '../../kdump/config/listing.ts';
import { checkMachine } from '../../kdump/config/machine-checks.ts';
import { parseConfig } from '../../kdump/config/parse.ts';
import { configSchema } from '../../kdump/config/schema.ts';
import { readSettings } from '../../kdump/config/settings.ts';
import { describeTarget, isTargetDirective, targetDirectives } from '../../kdump/config/target.ts';
import { joinWords } from '../../kdump/config/words.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { VerbModule } from './verb.ts';

type Common = { readonly root: string; readonly json: boolean };

export const command: VerbModule['command'] = {
  command: 'config',
  describe: 'show, check and change the settings',
  builder: (yargs: Argv) =>
    yargs
      .option('root', { type: 'string', default: '/', describe: 'the root below which the files lie' })
      .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
      .command(
        'show',
        'print what is set, and where; as lines of a kdump.conf',
        (y) => y.option('all', { type: 'boolean', default: false, describe: 'with the defaults' }),
        (args) => show(args),
      )
      .command(
        'check [file]',
        'list every error and warning; without FILE, of all settings',
        (y) =>
          y.positional('file', { type: 'string', describe: 'a kdump.conf, such as one to be installed' }),
        (args) => check(args),
      )
      .command(
        'get <name>',
        'print the value that counts',
        (y) => named(y),
        (args) => get(args),
      )
      .command(
        'set <name> [value..]',
        'write a value to kdump.conf; what else is in it stays',
        (y) =>
          named(y)
            .positional('value', { type: 'string', describe: 'the value, in one word or in several' })
            .option('add', { type: 'boolean', default: false, describe: 'before NAME: one more of its kind' })
            .parserConfiguration({ 'populate--': true }),
        ({ add, name, ...rest }) => edit(rest, { action: 'set', name, add, value: typedValue(rest['--']) }),
      )
      .command(
        'unset <name>',
        'remove a value from kdump.conf',
        (y) => named(y),
        ({ name, ...common }) => edit(common, { action: 'unset', name }),
      )
      .command(
        'schema',
        'describe every directive and variable',
        (y) => y,
        (args) => schema(args),
      )
      .demandCommand(1, 'one of show, check, get, set, unset and schema is needed'),
  handler: () => {},
};

/** What follows the name of `set NAME` is the value, dashes and all: it is put behind a `--`. */
export function prepare(argv: readonly string[]): string[] {
  const at = argv.indexOf('set');
  const isName = (word: string, index: number): boolean =>
    index > at && !word.startsWith('-') && argv[index - 1] !== '--root';
  const name = at < 0 ? -1 : argv.findIndex(isName);
  return name < 0 ? [...argv] : [...argv.slice(0, name + 1), '--', ...argv.slice(name + 1)];
}

/** One word is a value as it stands; several are words of it. */
function typedValue(words: unknown): string {
  const given = Array.isArray(words) ? words.map(String) : [];
  return given.length === 1 ? given[0]! : joinWords(given);
}

const named = <T>(yargs: Argv<T>) =>
  yargs.positional('name', { type: 'string', demandOption: true, describe: 'a directive' });

function show({ root, json, all }: Common & { all: boolean }): void {
  const { settings, config, variables, findings } = readSettings(root);
  const listed = listSettings(config).filter(({ origin }) => all || origin.from === 'file');
  if (json) {
    const { target, settings: values, origins } = config;
    printJson({ settings, config: { target, ...values }, origins, variables, findings });
  } else {
    for (const setting of listed) print(printSetting(setting));
    for (const [name, { value, origin }] of Object.entries(variables))
      print(`# ${name}="${value}" (${describeOrigin(origin)})\n`);
    complain(findings);
  }
  failOn(findings);
}

function check({ root, json, file }: Common & { file?: string | undefined }): void {
  let findings: readonly Finding[];
  if (file === undefined) {
    const read = readSettings(root);
    findings = [...read.findings, ...checkMachine(read.config, root)];
  } else {
    const text = readBounded(file);
    if (text === undefined) throw new KdumpError('config-missing', `${file} does not exist`);
    const { config, findings: inFile } = parseConfig(text, file);
    findings = [...inFile, ...checkMachine(config, root)];
  }
  if (json) printJson({ ok: !findings.some(isError), findings });
  else for (const finding of findings) print(`${describeFinding(finding)}\n`);
  failOn(findings);
}

function get({ root, json, name }: Common & { name: string }): void {
  const known = knownName(name);
  const { config, findings } = readSettings(root);
  const { target } = config;
  const isTarget = isTargetDirective(known);
  const described = target === null ? '' : describeTarget(target);
  const values = isTarget
    ? described.startsWith(`${known} `)
      ? [described.slice(known.length + 1)]
      : []
    : listSettings(config).find((setting) => setting.name === known)!.values;
  const value =
    isTarget || known === 'target' ? target : config.settings[known as keyof typeof config.settings];
  if (json) printJson(isTarget && values.length === 0 ? null : value);
  else {
    for (const text of values) print(`${text}\n`);
    complain(findings.filter(isError));
  }
  if (values.length === 0) process.exitCode = 1;
}

function edit({ root, json }: Common, change: Edit): void {
  const name = knownName(change.name);
  if (name === 'target')
    throw new KdumpError('usage', 'a target is named by its kind', {
      fix: `Kinds are ${targetDirectives.join(', ')}.`,
    });
  const { findings } = editConfigFile(root, { ...change, name });
  if (json) printJson({ ok: !findings.some(isError), findings });
  else complain(findings);
}

function schema({ json }: Common): undefined {
  const { targets, directives, removed, variables } = configSchema();
  if (json) return printJson(configSchema());
  const rows = [...targets, ...directives].map(({ name, syntax, doc }) => `${name} ${syntax}\n    ${doc}\n`);
  print(`${rows.join('')}\nNo longer there: ${Object.keys(removed).join(', ')}.\n`);
  print(
    `\nVariables:\n${variables.map(({ name, files, doc }) => `${name} (${files.join(', ')})\n    ${doc}\n`).join('')}`,
  );
}

/** @throws KdumpError `unknown-option` */
function knownName(name: string): string {
  const known = Object.hasOwn(renamedDirectives, name) ? renamedDirectives[name]! : name;
  if (known === 'target' || isTargetDirective(known) || isDirective(known)) return known;
  throw new KdumpError('unknown-option', `Invalid kdump config option ${name}`, {
    fix: `Known are target, ${[...targetDirectives, ...directiveNames].join(', ')}.`,
  });
}

function complain(findings: readonly Finding[]): void {
  for (const finding of findings) process.stderr.write(`kdump: ${describeFinding(finding)}\n`);
}

function failOn(findings: readonly Finding[]): void {
  if (findings.some(isError)) process.exitCode = 1;
}

const print = (text: string): undefined => void process.stdout.write(text);
const printJson = (value: unknown): undefined => print(`${JSON.stringify(value, undefined, 2)}\n`);
