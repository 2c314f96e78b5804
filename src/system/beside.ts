import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import { KdumpError } from '../lib/errors.ts';
import { errnoName, errnoText } from './errno.ts';
import { addressOf, lastErrno, libc } from './ffi.ts';

/**
 * Programs that run beside us while this thread stays in its loop: node's own child processes need the event loop, which
 * a dump never lets go round.
 */
export type Beside = {
  readonly pid: number;
  /** Our end of the pipe that is its standard input, non-blocking; null when it has none. The caller closes it. */
  readonly stdin: number | null;
  /** Exit status, 128 + signal for one that was killed; undefined while it runs. */
  status(): number | undefined;
  /** As status(), but waits for the end for so many seconds. */
  wait(seconds: number): number | undefined;
  /** Ends it and what it has started. */
  kill(): void;
  /** The end of what it has said on standard output and standard error. */
  said(): string;
  /** Forgets what it has said. */
  close(): void;
};

export type BesideOptions = {
  /** Standard input: a pipe, nothing, or ours together with our output. */
  readonly stdin: 'pipe' | 'none' | 'ours';
  /** When memory runs out, the kernel ends it before anything else. */
  readonly expendable?: boolean;
};

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const MFD_CLOEXEC = 1;
const F_SETFL = 4;
const O_WRONLY = 1;
const POSIX_SPAWN_SETPGROUP = 0x02;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const WNOHANG = 1;
const SIGKILL = 9;
const SIGPIPE = 13;
/** Larger than posix_spawnattr_t and posix_spawn_file_actions_t of any libc. */
const opaqueBytes = 512;
const sigsetBytes = 128;
/** Bytes of what was said that are kept for us; an error is at its end. */
const mostSaid = 64 << 10;
const pauseMilliseconds = 20;
/** The highest oom_score_adj there is. */
export const expendableScore = 1000;

/**
 * Starts a program. What it says goes into a file in memory.
 * @throws KdumpError `no-program` when it cannot be started
 */
export function startBeside(program: string, args: readonly string[], options: BesideOptions): Beside {
  const { stdin, expendable = false } = options;
  const pipe = stdin === 'pipe' ? openPipe(program) : undefined;
  const output = stdin === 'ours' ? undefined : memoryFile();
  const nothing = stdin === 'none' ? openSync('/dev/null', 'r') : undefined;
  try {
    const input = pipe?.read ?? nothing ?? 0;
    const pid = spawn(program, args, [input, output ?? 1, output ?? 2], stdin !== 'ours');
    if (expendable) offerToKernel(pid);
    return new Process(pid, pipe?.write ?? null, output, stdin !== 'ours');
  } catch (error) {
    if (pipe !== undefined) closeSync(pipe.write);
    if (output !== undefined) closeSync(output);
    throw error;
  } finally {
    if (pipe !== undefined) closeSync(pipe.read);
    if (nothing !== undefined) closeSync(nothing);
  }
}

class Process implements Beside {
  readonly pid: number;
  readonly stdin: number | null;
  readonly #output: number | undefined;
  readonly #ownGroup: boolean;
  #status: number | undefined;

  constructor(pid: number, stdin: number | null, output: number | undefined, ownGroup: boolean) {
    this.pid = pid;
    this.stdin = stdin;
    this.#output = output;
    this.#ownGroup = ownGroup;
  }

  status(): number | undefined {
    if (this.#status !== undefined) return this.#status;
    const word = Buffer.alloc(4);
    const found = libc('int waitpid(int pid, uint8_t *status, int options)')(
      this.pid,
      word,
      WNOHANG,
    ) as number;
    if (found === 0) return undefined;
    // Nobody else waits for our children; what is not ours any more has ended.
    const status = found < 0 ? 0xff00 : word.readInt32LE(0);
    const signal = status & 0x7f;
    this.#status = signal === 0 ? (status >> 8) & 0xff : 128 + signal;
    return this.#status;
  }

  wait(seconds: number): number | undefined {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const until = performance.now() + seconds * 1000;
    for (;;) {
      const status = this.status();
      if (status !== undefined || performance.now() >= until) return status;
      Atomics.wait(pause, 0, 0, pauseMilliseconds);
    }
  }

  kill(): void {
    if (this.status() !== undefined) return;
    libc('int kill(int pid, int signal)')(this.#ownGroup ? -this.pid : this.pid, SIGKILL);
  }

  said(): string {
    if (this.#output === undefined) return '';
    const { size } = fstatSync(this.#output);
    const bytes = Buffer.alloc(Math.min(size, mostSaid));
    return bytes.toString('utf8', 0, readSync(this.#output, bytes, 0, bytes.length, size - bytes.length));
  }

  close(): void {
    if (this.#output !== undefined) closeSync(this.#output);
  }
}

/** oom_score_adj of proc(5). What cannot be written there is not ours, or has ended. */
function offerToKernel(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(expendableScore));
  } catch {
    // It takes its chances as everybody does.
  }
}

function openPipe(program: string): { read: number; write: number } {
  const ends = Buffer.alloc(8);
  if (libc('int pipe2(uint8_t *fds, int flags)')(ends, O_CLOEXEC) !== 0) throw cannot(program, lastErrno());
  const [read, write] = [ends.readInt32LE(0), ends.readInt32LE(4)];
  // Only our end: the program expects to wait for its input.
  libc('int fcntl(int fd, int command, int argument)')(write, F_SETFL, O_WRONLY | O_NONBLOCK);
  return { read, write };
}

function memoryFile(): number {
  const fd = libc('int memfd_create(const char *name, unsigned int flags)')('said', MFD_CLOEXEC) as number;
  if (fd < 0) throw new KdumpError('memfd', `a file in memory cannot be made: ${errnoText(lastErrno())}`);
  return fd;
}

/** posix_spawnp(3), with these descriptors as 0, 1 and 2. */
function spawn(
  program: string,
  args: readonly string[],
  descriptors: readonly number[],
  ownGroup: boolean,
): number {
  const actions = Buffer.alloc(opaqueBytes);
  const attributes = Buffer.alloc(opaqueBytes);
  libc('int posix_spawn_file_actions_init(uint8_t *actions)')(actions);
  libc('int posix_spawnattr_init(uint8_t *attributes)')(attributes);
  try {
    const dup2 = libc('int posix_spawn_file_actions_adddup2(uint8_t *actions, int from, int to)');
    // Even where both are the same: node keeps its own three from what it starts.
    for (const [to, from] of descriptors.entries()) dup2(actions, from, to);
    // node ignores SIGPIPE, and a program would inherit that.
    const signals = Buffer.alloc(sigsetBytes);
    signals.writeUInt32LE(1 << (SIGPIPE - 1), 0);
    libc('int posix_spawnattr_setsigdefault(uint8_t *attributes, uint8_t *set)')(attributes, signals);
    const flags = POSIX_SPAWN_SETSIGDEF | (ownGroup ? POSIX_SPAWN_SETPGROUP : 0);
    libc('int posix_spawnattr_setflags(uint8_t *attributes, short flags)')(attributes, flags);
    const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
    const pid = Buffer.alloc(4);
    const argv = stringArray([program, ...args]);
    const envp = stringArray(environment);
    const errno = libc(
      'int posix_spawnp(uint8_t *pid, const char *file, uint8_t *actions, uint8_t *attributes, uint8_t *argv, uint8_t *envp)',
    )(pid, program, actions, attributes, argv.pointers, envp.pointers) as number;
    if (errno !== 0 || argv.strings.length === 0) throw cannot(program, errno);
    return pid.readInt32LE(0);
  } finally {
    libc('int posix_spawn_file_actions_destroy(uint8_t *actions)')(actions);
    libc('int posix_spawnattr_destroy(uint8_t *attributes)')(attributes);
  }
}

/** A char *[] with its NULL, and the bytes that it points at, which must live as long. */
function stringArray(texts: readonly string[]): { pointers: Buffer; strings: Buffer } {
  const encoded = texts.map((text) => Buffer.from(`${text}\0`));
  const strings = Buffer.concat([...encoded, Buffer.alloc(1)]);
  const pointers = Buffer.alloc((texts.length + 1) * 8);
  let address = BigInt(addressOf(strings));
  for (const [i, { length }] of encoded.entries()) {
    pointers.writeBigUInt64LE(address, i * 8);
    address += BigInt(length);
  }
  return { pointers, strings };
}

function cannot(program: string, errno: number): KdumpError {
  return new KdumpError('no-program', `${program} cannot be started: ${errnoText(errno)}`, {
    facts: { program, errno: errnoName(errno) },
  });
}
