import { KdumpError } from '../../lib/errors.ts';
import type { Command, CommandTable } from '../command.ts';

const columns = 5;
const columnWidth = 15;

export const help: Command = {
  name: 'help',
  aliases: ['h', '?', 'man'],
  usage: '[command] ...',
  summary: 'commands, and what they do',
  help: `  help        all commands
  help bt     one of them
  help input  pipes, files, history
  help all    a line for each`,
  *run({ commands }, args) {
    if (args.length === 0) yield* overview(commands);
    for (const name of args) yield* page(commands, name);
  },
  json: ({ commands }) =>
    commands.all.map(({ name, aliases, usage, summary }) => ({ name, aliases, usage, summary })),
};

function* overview({ all }: CommandTable): Generator<string> {
  const names = [...all.map(({ name }) => name), 'alias', 'repeat', 'q'].sort();
  const rows = Math.ceil(names.length / columns);
  yield '';
  for (let row = 0; row < rows; row++) {
    const line = Array.from({ length: columns }, (_, column) => names[column * rows + row] ?? '');
    yield line
      .map((name) => name.padEnd(columnWidth))
      .join('')
      .trimEnd();
  }
  yield '';
  yield 'For what a command does, enter "help <command>"; for a line about each, "help all".';
  yield 'For pipes, files and history, enter "help input".';
}

function* page(commands: CommandTable, name: string): Generator<string> {
  if (name === 'all') {
    for (const { name: each, summary } of commands.all) yield `${each.padEnd(columnWidth)}${summary}`;
    return;
  }
  if (name === 'input' || name === 'output') {
    yield* input.split('\n');
    return;
  }
  const command = commands.find(name);
  if (command === undefined) throw new KdumpError('usage', `no such command: ${name}`);
  yield '';
  yield 'NAME';
  yield `  ${command.name} - ${command.summary}`;
  yield '';
  yield 'SYNOPSIS';
  yield `  ${command.name} ${command.usage}`.trimEnd();
  yield '';
  yield 'DESCRIPTION';
  for (const line of command.help.split('\n')) yield line === '' ? '' : `  ${line}`;
  const aliases = command.aliases ?? [];
  if (aliases.length > 0) yield `\n  also known as: ${aliases.join(', ')}`;
  yield '';
}

const input = `
A line is a command with its arguments. What stands in quotes is one argument.

  log | tail -n 30       its output goes into a shell command
  bt -a > traces.txt     into a file; >> adds to one
  < commands.txt         commands are taken from a file
  !ls                    a shell command alone
  repeat -2 ps -S        again and again, every two seconds, until Ctrl-C (a live kernel)
  alias up ps -u         another name for a command; alias alone lists them, alias up takes it away

Arrow keys bring back earlier lines, Tab completes commands and symbols. q or Ctrl-D ends the session.
`;
