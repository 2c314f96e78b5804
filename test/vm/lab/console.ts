// The serial console of a guest, line by line, with the host's time of every line.
import { KdumpError } from '../../../src/lib/errors.ts';
import { tail } from './process.ts';

export type ConsoleLine = {
  /** Seconds of the host's monotonic clock since the machine was started. */
  at: number;
  text: string;
};

type Waiter = {
  pattern: RegExp;
  from: number;
  resolve(line: ConsoleLine): void;
  reject(error: Error): void;
};

export class Console {
  readonly lines: ConsoleLine[] = [];
  private readonly started = performance.now();
  private partial = '';
  private cursor = 0;
  private closed: string | undefined;
  private readonly waiters = new Set<Waiter>();

  /** Seconds since the machine was started. */
  now(): number {
    return (performance.now() - this.started) / 1000;
  }

  /** Takes what the serial port sent. */
  feed(piece: string): void {
    const at = this.now();
    const texts = (this.partial + piece).split('\n');
    this.partial = texts.pop()!;
    for (const text of texts) {
      // Terminal control sequences of the firmware would hide line starts.
      this.lines.push({ at, text: text.replace(/\x1b(\[[0-9;?]*[A-Za-z]|c)/g, '').replaceAll('\r', '') });
      this.offer(this.lines.length - 1);
    }
  }

  /** Ends the console: who still waits is told why nothing more comes. */
  close(reason: string): void {
    if (this.closed !== undefined) return;
    if (this.partial !== '') this.feed('\n');
    this.closed = reason;
    for (const waiter of [...this.waiters]) {
      waiter.reject(this.error(`${reason} before the console said ${waiter.pattern}`));
    }
  }

  /**
   * The next line that matches, after the line that the previous call found.
   * @throws KdumpError `lab-console` with the console's tail when `seconds` pass or the machine ends.
   */
  waitFor(pattern: RegExp, seconds: number): Promise<ConsoleLine> {
    for (let index = this.cursor; index < this.lines.length; index++) {
      if (pattern.test(this.lines[index]!.text)) {
        this.cursor = index + 1;
        return Promise.resolve(this.lines[index]!);
      }
    }
    if (this.closed !== undefined) {
      return Promise.reject(this.error(`${this.closed} before the console said ${pattern}`));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => waiter.reject(this.error(`the console did not say ${pattern} in ${seconds} s`)),
        seconds * 1000,
      );
      const done = () => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
      };
      const waiter: Waiter = {
        pattern,
        from: this.cursor,
        resolve: (line) => {
          done();
          resolve(line);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      this.waiters.add(waiter);
    });
  }

  /** First line that matches, from a line number on; undefined when there is none yet. */
  find(pattern: RegExp, from = 0): (ConsoleLine & { index: number }) | undefined {
    const index = this.lines.findIndex((line, number) => number >= from && pattern.test(line.text));
    return index < 0 ? undefined : { ...this.lines[index]!, index };
  }

  text(): string {
    return this.lines.map((line) => line.text).join('\n');
  }

  /** A failure of the guest, with the last lines of its console. */
  error(message: string, lines = 40): KdumpError {
    return new KdumpError('lab-console', `${message}; the console ends:\n${tail(this.text(), lines)}`);
  }

  private offer(index: number): void {
    const line = this.lines[index]!;
    for (const waiter of [...this.waiters]) {
      if (index >= waiter.from && waiter.pattern.test(line.text)) {
        this.cursor = Math.max(this.cursor, index + 1);
        waiter.resolve(line);
      }
    }
  }
}
