import { createInterface } from 'node:readline';
import { optionsOf } from '../../crash/command.ts';
import type { Session } from '../../crash/session.ts';
import type { Shell } from './shell.ts';

const prompt = 'crash> ';
const historySize = 1000;
/** Characters of a symbol before there is a point in offering what they may become, and how many are offered. */
const leastPrefix = 3;
const mostOffered = 200;

/** Reads lines until the session ends: from a terminal with history and completion, from anything else as they come. */
export async function readCommands(session: Session, shell: Shell, silent: boolean): Promise<void> {
  const isTerminal = process.stdin.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    output: isTerminal ? process.stdout : undefined,
    terminal: isTerminal,
    prompt,
    historySize,
    removeHistoryDuplicates: true,
    completer: (line: string) => complete(session, shell, line),
  });
  // At the prompt Ctrl-C drops what was typed; while a command runs it ends that.
  let isRunning = false;
  const interrupt = (): void => {
    if (isRunning) {
      shell.interrupt();
      return;
    }
    lines.write(null, { ctrl: true, name: 'e' });
    lines.write(null, { ctrl: true, name: 'u' });
    process.stdout.write('\n');
    lines.prompt();
  };
  lines.on('SIGINT', interrupt);
  process.on('SIGINT', interrupt);
  try {
    if (isTerminal) lines.prompt();
    for await (const line of lines) {
      if (!isTerminal && !silent && line.trim() !== '') process.stdout.write(`${prompt}${line}\n`);
      isRunning = true;
      // Meanwhile the terminal is what it was: Ctrl-C is a signal, and a pager reads keys for itself.
      lines.pause();
      if (isTerminal) process.stdin.setRawMode(false);
      await shell.run(line);
      if (isTerminal) process.stdin.setRawMode(true);
      lines.resume();
      isRunning = false;
      if (shell.done) break;
      if (isTerminal) lines.prompt();
    }
  } finally {
    process.off('SIGINT', interrupt);
    lines.close();
  }
}

/** Commands in the first place, after it symbols, and options of the command behind a -. */
export function complete(session: Session, shell: Shell, line: string): [string[], string] {
  const word = /\S*$/.exec(line)![0];
  if (/^-\w*$/.test(word)) {
    const command = session.commands.find(shell.commandOf(line));
    const options = command === undefined ? [] : optionsOf(command);
    return [options.filter((option) => option.startsWith(word)), word];
  }
  const isFirst = line.slice(0, line.length - word.length).trim() === '';
  const names = isFirst || line.startsWith('help ') ? shell.names : [];
  const found = new Set(names.filter((name) => name.startsWith(word)));
  if (!isFirst && word.length >= leastPrefix) {
    for (const { name } of session.kernel.symbols.entries()) {
      if (name.startsWith(word)) found.add(name);
      if (found.size === mostOffered) break;
    }
  }
  return [[...found].sort(), word];
}
