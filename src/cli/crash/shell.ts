import { readFileSync } from 'node:fs';
import type { Command } from '../../crash/command.ts';
import { parseCommandLine } from '../../crash/command-line.ts';
import { plainJson } from '../../crash/json.ts';
import type { Session } from '../../crash/session.ts';
import { describeError, KdumpError } from '../../lib/errors.ts';
import { ShellCommand } from '../../system/shell.ts';
import { type Output, openOutput } from './output.ts';

/** What crash(8) has as aliases from the start, where they are no commands here. */
const builtin: readonly (readonly [name: string, command: string])[] = [
  ['cpu', 'set -c'],
  ['hex', 'set radix 16'],
  ['dec', 'set radix 10'],
  ['px', 'p -x'],
  ['pd', 'p -d'],
  ['size', '*'],
  ['last', 'ps -l'],
  ['sf', 'set scroll off'],
  ['sn', 'set scroll on'],
];

/** Lines that are gathered before they are written; between two of these Ctrl-C is heard. */
const batch = 64;
const maxNesting = 16;
const defaultPause = 1;

/** Runs lines of the shell. Whatever goes wrong with one of them is said, and the next one is run. */
export class Shell {
  readonly #session: Session;
  readonly #json: boolean;
  readonly #aliases = new Map(builtin);
  readonly #prepared = new Set<Command>();
  #interrupted = false;
  #nesting = 0;
  /** Whether a command failed. */
  failed = false;
  /** Whether the session is at its end. */
  done = false;

  /** @param json results as JSON, one line for each command */
  constructor(session: Session, json: boolean) {
    this.#session = session;
    this.#json = json;
  }

  /** Ends the command that runs, at the next of its lines. */
  interrupt(): void {
    this.#interrupted = true;
  }

  get names(): readonly string[] {
    return [...this.#session.commands.names, ...this.#aliases.keys(), 'alias', 'repeat', 'q', 'exit'];
  }

  async run(line: string): Promise<void> {
    this.#interrupted = false;
    const text = line.trim();
    try {
      if (text.startsWith('!')) await new ShellCommand(text.slice(1), false).close();
      else if (text.startsWith('<')) await this.script(text.slice(1).trim());
      else await this.#command(text);
    } catch (error) {
      this.#fail(text, error);
    }
  }

  /** Runs the lines of a file. @param echo receives each of them */
  async script(path: string, echo: (line: string) => void = () => {}): Promise<void> {
    if (++this.#nesting > maxNesting)
      throw new KdumpError('usage', `${path}: scripts within scripts without end`);
    try {
      for (const line of readFileSync(path, 'utf8').split('\n')) {
        if (this.done || this.#interrupted) return;
        if (line.trim() === '') continue;
        echo(line);
        await this.run(line);
      }
    } finally {
      this.#nesting--;
    }
  }

  async #command(text: string): Promise<void> {
    const { words, output } = parseCommandLine(text);
    const [name, ...args] = this.#withoutAlias(apart(words));
    if (name === undefined) return;
    if (name === 'q' || name === 'exit' || name === 'quit') {
      this.done = true;
      return;
    }
    if (name === 'repeat') return this.#repeat(args, text);
    const lines = name === 'alias' ? this.#alias(args) : await this.#lines(name, args, text);
    const to = openOutput(output);
    try {
      await this.#write(lines, to);
    } finally {
      await to.close();
    }
  }

  async #lines(name: string, args: readonly string[], text: string): Promise<Iterable<string>> {
    const command = this.#session.commands.find(name) ?? this.#shorthand(name);
    if (command === undefined) throw new KdumpError('usage', `command not found: ${name}`);
    if (!this.#prepared.has(command)) {
      await command.prepare?.();
      this.#prepared.add(command);
    }
    const given = command.name === name || command.aliases?.includes(name) ? args : [name, ...args];
    // Each command looks at what is, not at what the one before it saw.
    if (this.#session.isLive) this.#session.kernel.forget();
    if (!this.#json) return command.run(this.#session, given);
    const result = command.json?.(this.#session, given) ?? { lines: [...command.run(this.#session, given)] };
    return [JSON.stringify({ command: text, result: plainJson(result) })];
  }

  /** The name of a structure alone, or of a structure's member, stands for struct; that of a variable for p. */
  #shorthand(name: string): Command | undefined {
    const { kernel, commands } = this.#session;
    const [type] = name.split('.');
    if (!/^[A-Za-z_][\w.[\]]*$/.test(name) || type === undefined) return undefined;
    if (kernel.type(`struct ${type}`) ?? kernel.type(`union ${type}`)) return commands.find('struct');
    return kernel.symbol(name) === undefined ? undefined : commands.find('p');
  }

  async #write(lines: Iterable<string>, to: Output): Promise<void> {
    let text = '';
    let count = 0;
    for (const line of lines) {
      text += `${line}\n`;
      if (++count % batch !== 0) continue;
      if (!(await to.write(text))) return;
      text = '';
      await new Promise(setImmediate);
      if (this.#interrupted) return;
    }
    if (text !== '') await to.write(text);
  }

  #withoutAlias(words: readonly string[]): readonly string[] {
    const [name, ...rest] = words;
    const alias = name === undefined ? undefined : this.#aliases.get(name);
    return alias === undefined ? words : [...parseCommandLine(alias).words, ...rest];
  }

  #alias([name, ...words]: readonly string[]): string[] {
    if (name === undefined) {
      const rows = [...this.#aliases].map(
        ([alias, command]) =>
          `${(builtin.some(([own]) => own === alias) ? 'builtin' : 'user').padEnd(7)}  ${alias.padEnd(7)}  ${command}`,
      );
      return ['ORIGIN   ALIAS    COMMAND', ...rows];
    }
    if (words.length === 0) this.#aliases.delete(name);
    else this.#aliases.set(name, words.join(' '));
    return [];
  }

  /** repeat -2 COMMAND: until Ctrl-C. */
  async #repeat(args: readonly string[], text: string): Promise<void> {
    const [, pause] = /^-(\d{1,4})$/.exec(args[0] ?? '') ?? [];
    const line = text.replace(/^\s*repeat\s+(-\d+\s+)?/, '');
    if (line === '' || line === 'repeat') throw new KdumpError('usage', 'repeat: a command is needed');
    while (!this.#interrupted && !this.done) {
      await this.#command(line);
      await this.#pause(Number(pause ?? defaultPause));
    }
  }

  /** Waits, but not when nobody wants to. @param seconds */
  async #pause(seconds: number): Promise<void> {
    for (let left = seconds * 10; left > 0 && !this.#interrupted; left--)
      await new Promise((resolve) => setTimeout(resolve, 100));
  }

  #fail(text: string, error: unknown): void {
    this.failed = true;
    const [name = 'crash'] = text.split(/\s/);
    if (this.#json) {
      const what = error instanceof KdumpError ? error.toJSON() : { message: describeError(error) };
      process.stdout.write(`${JSON.stringify({ command: text, ...what })}\n`);
      return;
    }
    const known = this.#session.commands.find(name);
    const prefix = `${known?.name ?? 'crash'}: `;
    const said = describeError(error);
    process.stderr.write(`${said.startsWith(prefix) ? said : prefix + said}\n`);
    if (known !== undefined && error instanceof KdumpError && isAboutOptions(error))
      process.stderr.write(
        `Usage:\n  ${known.name} ${known.usage}\nEnter "help ${known.name}" for details.\n`,
      );
  }
}

/** *list_head is the command * and its first argument. */
function apart([first = '', ...others]: readonly string[]): readonly string[] {
  if (!/^\*\w/.test(first)) return first === '' ? others : [first, ...others];
  return ['*', first.slice(1), ...others];
}

/** Whether a reminder of the options helps: what was asked for was understood, or not. */
const isAboutOptions = ({ code, message }: KdumpError): boolean =>
  code === 'usage' && /invalid option|requires an argument|(needed|expected)$/.test(message);
