import type { DumpState } from '../capture/report.ts';
import type { SavedDump } from './saved-dump.ts';

/** What the names in a dump directory say, when there is no dump.json that says it. */
export type NamedDump = Pick<SavedDump, 'madeBy' | 'state' | 'host' | 'vmcore' | 'dmesg'> & {
  /** ISO 8601; null when the name holds no time. */
  readonly time: string | null;
};

/** kdump-utils and we: HOST-YYYY-MM-DD-HH:MM:SS, numbered by us when it is there already; tests: kdump-test-ID. */
const dated = /^(.+)-(\d{4}-\d\d-\d\d)-(\d\d:\d\d:\d\d)(?:-\d+)?$/;
const test = /^kdump-test-\d+$/;
/** Debian: YYYYMMDDHHMM, on a remote machine with HOST- before it. */
const stamped = /^(?:(.+)-)?(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)$/;
/** What kdump-utils calls a machine that saves to its own disk. */
const itself = /^(127\.0\.0\.1|localhost|::1)$/;

/** Whole vmcores first: what was left unfinished beside one does not count. */
const vmcoreNames = ['vmcore', 'vmcore.flat'];
const incompleteNames = ['vmcore-incomplete', 'vmcore.flat-incomplete', 'vmcore-incomplete.flat'];

/**
 * Reads the layouts of kdump-utils and of Debian's kdump-tools by their names.
 * @returns undefined for a directory that is none of them
 */
export function readNames(name: string, files: readonly string[]): NamedDump | undefined {
  const has = (candidate: string): boolean => files.includes(candidate);
  const found = dated.exec(name);
  if (found !== null || test.test(name)) {
    const [, host = null, day, clock] = found ?? [];
    const vmcore = [...vmcoreNames, ...incompleteNames].find(has) ?? null;
    const dmesg = ['vmcore-dmesg.txt', 'vmcore-dmesg-incomplete.txt'].find(has) ?? null;
    return {
      madeBy: 'kdump-utils',
      host: host === null || itself.test(host) ? null : host,
      time: validTime(`${day}T${clock}.000Z`),
      state: stateOf(vmcore, vmcoreNames.includes(vmcore ?? '')),
      vmcore,
      dmesg,
    };
  }
  const [, host = null, year, month, day, hour, minute] = stamped.exec(name) ?? [];
  if (year === undefined) return undefined;
  const named = (prefix: string): string | undefined =>
    files.find(
      (file) =>
        file.startsWith(`${prefix}.`) && /^\d+(\.(bz2|gz|lz4|xz))?$/.test(file.slice(prefix.length + 1)),
    );
  const whole = named('dump') ?? named('vmcore');
  const vmcore = whole ?? ['dump-incomplete', 'vmcore-incomplete'].find(has) ?? null;
  return {
    madeBy: 'debian',
    host,
    time: validTime(`${year}-${month}-${day}T${hour}:${minute}:00.000Z`),
    state: stateOf(vmcore, whole !== undefined),
    vmcore,
    dmesg: named('dmesg') ?? null,
  };
}

const stateOf = (vmcore: string | null, whole: boolean): DumpState =>
  whole ? 'complete' : vmcore === null ? 'failed' : 'incomplete';

const validTime = (text: string): string | null => (Number.isNaN(Date.parse(text)) ? null : text);
