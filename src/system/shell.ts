import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A command of the system's shell that a person typed, its output and errors where ours go. */
export class ShellCommand {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #closed = false;

  /** @param input whether it is given text; otherwise it reads what we would */
  constructor(command: string, input: boolean) {
    this.#child = spawn('/bin/sh', ['-c', command], {
      stdio: [input ? 'pipe' : 'inherit', 'inherit', 'inherit'],
    });
    this.#ended = once(this.#child, 'close').catch(() => {});
    // It may end before it has read everything, as head does.
    this.#child.stdin?.on('error', () => {
      this.#closed = true;
    });
    this.#child.stdin?.on('close', () => {
      this.#closed = true;
    });
  }

  /** Gives it text and waits until it has room for more. @returns false when it reads no more */
  async write(text: string): Promise<boolean> {
    const { stdin } = this.#child;
    if (stdin === null || this.#closed) return false;
    if (!stdin.write(text)) await Promise.race([once(stdin, 'drain').catch(() => {}), this.#ended]);
    return !this.#closed;
  }

  /** Waits for its end. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }
}
