/** Kinds of crashes that are told apart. */
export type CrashClass =
  | 'sysrq'
  | 'null-pointer'
  | 'bad-address'
  | 'protection-fault'
  | 'bug'
  | 'warning'
  | 'stack-overflow'
  | 'stack-corruption'
  | 'divide-error'
  | 'invalid-opcode'
  | 'double-fault'
  | 'soft-lockup'
  | 'hard-lockup'
  | 'hung-task'
  | 'rcu-stall'
  | 'out-of-memory'
  | 'machine-check'
  | 'nmi'
  | 'init-died'
  | 'no-root'
  | 'panic'
  | 'none';

/** What the kernel's log says of the crash. Addresses are "0x…". */
export type CrashReason = {
  readonly class: CrashClass;
  /** The line that crash(8) shows as PANIC: what went wrong first. Undefined when the log tells of no crash. */
  readonly message: string | undefined;
  /** The line of panic() itself, when that is another. */
  readonly panic: string | undefined;
  /** The address that could not be reached. */
  readonly address: string | undefined;
  readonly access: 'read' | 'write' | 'execute' | undefined;
  /** Where the kernel was, in its own words: 'lab_null+0xc/0x20 [kdump_lab]'. */
  readonly where: string | undefined;
  /** A CPU or a task that the message names: one that is stuck need not be the one that noticed. */
  readonly cpu: number | undefined;
  readonly pid: number | undefined;
  /** Oopses and warnings that the log holds besides. */
  readonly earlier: readonly string[];
};

type Rule = readonly [pattern: RegExp, kind: CrashClass];

/** The line that counts an oops, where nothing in front of it tells what it was. */
const countsOops = /^(?:Internal error: )?Oops\b.*\[#\d+\]/;

/** Lines with which a crash begins. */
const causes: readonly Rule[] = [
  [/^BUG: kernel NULL pointer dereference|^BUG: unable to handle kernel NULL pointer/, 'null-pointer'],
  [/^BUG: (?:\w+ )*stack guard page was hit|^kernel stack overflow/, 'stack-overflow'],
  [
    /^BUG: unable to handle|^Unable to handle kernel|^BUG: corrupted page table|^unchecked MSR/i,
    'bad-address',
  ],
  [/^kernel BUG at /, 'bug'],
  // Since 6.10 the line that counts an oops begins with the word.
  [/^(?:Oops: )?(?:general protection fault|stack segment)/, 'protection-fault'],
  [/^(?:Oops: )?divide error/, 'divide-error'],
  [/^(?:Oops: )?invalid opcode/, 'invalid-opcode'],
  [/^(?:traps: )?PANIC: double fault|^(?:Oops: )?double fault/, 'double-fault'],
  [countsOops, 'bad-address'],
  [/^(?:watchdog: )?BUG: soft lockup/, 'soft-lockup'],
  [/Watchdog detected hard LOCKUP|^NMI watchdog: .*LOCKUP/, 'hard-lockup'],
  [/^INFO: task .* blocked for more than/, 'hung-task'],
  [/^(?:rcu: )?INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stalls?/, 'rcu-stall'],
  [/^(?:mce: )?\[Hardware Error\]/, 'machine-check'],
  [/^WARNING: /, 'warning'],
];

/** What panic() is told. Where a cause stands in front of it, that one decides instead. */
const panics: readonly (readonly [RegExp, kind: CrashClass, cause: CrashClass | 'oops' | undefined])[] = [
  [/sysrq triggered crash/, 'sysrq', undefined],
  [/^Fatal exception/, 'panic', 'oops'],
  [/hung_task: blocked tasks/, 'hung-task', 'hung-task'],
  [/softlockup: hung tasks/, 'soft-lockup', 'soft-lockup'],
  [/[Hh]ard LOCKUP/, 'hard-lockup', 'hard-lockup'],
  [/RCU Stall/, 'rcu-stall', 'rcu-stall'],
  [/panic_on_warn set/, 'warning', 'warning'],
  [/stack-protector: /, 'stack-corruption', undefined],
  [/stack overflow/, 'stack-overflow', 'stack-overflow'],
  [/double[ -]fault/i, 'double-fault', 'double-fault'],
  [/[Oo]ut of memory|deadlocked on memory/, 'out-of-memory', undefined],
  [/machine check|Machine check/, 'machine-check', undefined],
  [/Attempted to kill init|Attempted to kill the idle/, 'init-died', 'oops'],
  [/Unable to mount root|No working init found/, 'no-root', undefined],
  [/^NMI|^unknown NMI|^Non maskable interrupt/i, 'nmi', undefined],
];

const oopses: ReadonlySet<CrashClass> = new Set([
  'null-pointer',
  'stack-overflow',
  'bad-address',
  'bug',
  'protection-fault',
  'divide-error',
  'invalid-opcode',
  'double-fault',
]);
/** Lines of a log that are looked at, from its end. */
const mostLines = 20_000;

/** The text of a line of the log without its time and caller. */
export const withoutPrefix = (line: string): string =>
  line.replace(/^(?:<\d+>)?\[ *\d+\.\d+\] (?:\[ *[TC]\d+\] )?/, '');

/** Why the kernel crashed, by the lines of its log. */
export function crashReason(log: string): CrashReason {
  const lines = log.split('\n').slice(-mostLines).map(withoutPrefix);
  const all = lines.flatMap((text, at): Cause[] => {
    const rule = causes.find(([pattern]) => pattern.test(text));
    return rule === undefined ? [] : [{ text, at, kind: rule[1] }];
  });
  const begun = all.filter((each, i) => !belongsTo(each, all[i - 1]));
  const panicAt = lines.findLastIndex((text) => text.startsWith(panicWords));
  const panic = panicAt < 0 ? undefined : lines[panicAt]!;
  const told =
    panic === undefined
      ? undefined
      : panics.find(([pattern]) => pattern.test(panic.slice(panicWords.length)));
  const before = begun.filter(({ at }) => panicAt < 0 || at < panicAt);
  const wanted = told === undefined ? undefined : told[2];
  const isCause = (kind: CrashClass): boolean =>
    panic === undefined || wanted === 'oops' ? oopses.has(kind) : kind === wanted;
  const cause = before.findLast((each) => isCause(each.kind));
  // Before panic() was called for it, sysrq wrote to NULL.
  const bySysrq =
    cause?.kind === 'null-pointer' &&
    lines.slice(Math.max(0, cause.at - 3), cause.at).some((text) => /^sysrq: .*Trigger a crash/i.test(text));
  const kind: CrashClass = bySysrq
    ? 'sysrq'
    : (cause?.kind ?? told?.[1] ?? (panic === undefined ? 'none' : 'panic'));
  const message = cause?.text ?? panic;
  const from = cause?.at ?? panicAt;
  const block = from < 0 ? [] : lines.slice(from, from + 200);
  return {
    class: kind,
    message,
    panic: panic === message ? undefined : panic,
    address: message === undefined || cause === undefined ? undefined : faultAddress(message, kind, block),
    access: cause === undefined ? undefined : accessOf(block),
    where: whereOf(block, kind),
    cpu: numberIn(message, /CPU#(\d+)|LOCKUP on cpu (\d+)/),
    pid: numberIn(message, /INFO: task .*?:(\d+) blocked|\[.*:(\d+)\]$/),
    earlier: before.filter((each) => each !== cause).map(({ text }) => text),
  };
}

/** Whether a line only goes on with what the one before began: BUG() is an invalid opcode on purpose. */
function belongsTo(line: Cause, before: Cause | undefined): boolean {
  if (before === undefined || !oopses.has(before.kind)) return false;
  if (line.kind === 'invalid-opcode') return before.kind === 'bug' && line.at - before.at <= 3;
  return countsOops.test(line.text) && line.at - before.at <= linesOfOops;
}

/** A line with which something began: where it is in the log, and what it is. */
type Cause = { readonly text: string; readonly at: number; readonly kind: CrashClass };

/** Lines between the first line of an oops and the one that counts it. */
const linesOfOops = 12;

/**
 * What a kernel died of, in its own words, as the banner has it: the panic, or the oops that the panic only followed;
 * undefined when the log tells of none.
 */
export function panicLine(log: string): string | undefined {
  const { message, panic } = crashReason(log);
  if (panic !== undefined && !panic.startsWith(`${panicWords}Fatal`)) return panic;
  return (
    message ??
    log
      .split('\n')
      .map(withoutPrefix)
      .findLast((line) => /^sysrq ?: Trigger a crash/i.test(line))
  );
}

const panicWords = 'Kernel panic - not syncing: ';

function numberIn(text: string | undefined, pattern: RegExp): number | undefined {
  const found = text === undefined ? null : pattern.exec(text);
  const digits = found?.slice(1).find((group) => group !== undefined);
  return digits === undefined ? undefined : Number(digits);
}

function faultAddress(message: string, kind: CrashClass, block: readonly string[]): string | undefined {
  // Which address of the guard page was hit is told in secret (%p).
  const digits =
    kind === 'stack-overflow'
      ? block.map((text) => /\bCR2: ([0-9a-f]{16})/.exec(text)?.[1]).find(Boolean)
      : (/(?:address:? |dereference at |request at )(?:0x)?([0-9a-f]{8,16})\b/.exec(message)?.[1] ??
        /non-canonical address 0x([0-9a-f]+)/.exec(message)?.[1]);
  return digits === undefined ? undefined : `0x${BigInt(`0x${digits}`).toString(16)}`;
}

function accessOf(block: readonly string[]): CrashReason['access'] {
  const line = block.slice(0, 6).find((text) => text.startsWith('#PF: '));
  if (line === undefined) return undefined;
  if (line.includes('instruction fetch')) return 'execute';
  return line.includes('write access') ? 'write' : 'read';
}

/** A lockup's own line comes before the registers of who is stuck; of other causes it is the first RIP in the kernel. */
function whereOf(block: readonly string[], kind: CrashClass): string | undefined {
  const bounded = block.slice(0, kind === 'sysrq' ? 40 : 60);
  const line = bounded.map((text) => /^RIP: 0010:(\S+(?: \[\w+\])?)/.exec(text)?.[1]).find(Boolean);
  const warned = /^WARNING: .* at \S+ (\S+\+0x\S+(?: \[\w+\])?)/.exec(block[0] ?? '')?.[1];
  return warned ?? line;
}
