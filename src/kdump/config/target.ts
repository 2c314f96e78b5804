import { directory, path, type Reading } from './types.ts';
import { splitWords } from './words.ts';

/** Where a dump goes. */
export type Target =
  /** The file system on which a directory of this machine lies; found when the machine is armed. */
  | { readonly kind: 'directory'; readonly path: string }
  | FileSystemTarget
  | { readonly kind: 'raw'; readonly device: string }
  | { readonly kind: 'nfs'; readonly server: string; readonly export: string; readonly mountOptions: string }
  | { readonly kind: 'ssh'; readonly user: string; readonly host: string }
  | { readonly kind: 'virtiofs'; readonly tag: string };

export type FileSystemTarget = {
  readonly kind: 'filesystem';
  /** null: what is found on the device */
  readonly fstype: string | null;
  /** A path, UUID=…, LABEL=…, PARTUUID=… or PARTLABEL=… */
  readonly device: string;
  readonly mountOptions: string;
};

/** File systems that are directives. */
export const fileSystems = ['ext2', 'ext3', 'ext4', 'minix', 'btrfs', 'xfs'] as const;
/** Directives that name the target. */
export const targetDirectives = ['raw', 'nfs', 'ssh', ...fileSystems, 'virtiofs'] as const;
export type TargetDirective = (typeof targetDirectives)[number];

export const isTargetDirective = (name: string): name is TargetDirective =>
  (targetDirectives as readonly string[]).includes(name);

/** Reads the value of a target directive. */
export function readTarget(kind: TargetDirective, text: string): Reading<Target> {
  if (/[\0-\x1f\x7f]/.test(text)) return { wrong: 'a target holds no control characters' };
  switch (kind) {
    case 'raw':
      return readRaw(text);
    case 'nfs':
      return readNfs(text, '');
    case 'ssh':
      return readSsh(text);
    case 'virtiofs':
      return /^[^\s/-]\S*$/.test(text)
        ? { value: { kind, tag: text } }
        : { wrong: `"${text}" is not the tag of a virtiofs` };
    default:
      return readDevice(kind, text, '');
  }
}

function readRaw(text: string): Reading<Target> {
  const read = path.read(text);
  if (read.wrong !== undefined) return read;
  return /^\/dev\/\S+$/.test(text)
    ? { value: { kind: 'raw', device: text } }
    : { wrong: `"${text}" is not a device below /dev` };
}

/** @param fstype null for what is found on the device */
export function readDevice(fstype: string | null, text: string, mountOptions: string): Reading<Target> {
  const found = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.+)$/.exec(text);
  const name = found?.[2]?.replace(/^"(.*)"$/, '$1');
  const device = found ? `${found[1]}=${name}` : text;
  if (name === undefined ? path.read(text).wrong !== undefined : name === '')
    return { wrong: `"${text}" is neither a device nor UUID=… nor LABEL=…` };
  return { value: { kind: 'filesystem', fstype, device, mountOptions } };
}

export function readNfs(text: string, mountOptions: string): Reading<Target> {
  const found = /^(\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9_][\w.-]*):(\/\S*)$/.exec(text);
  if (found === null) return { wrong: `"${text}" is not SERVER:/EXPORT; an IPv6 address stands in brackets` };
  const directoryOf = directory.read(found[2]!);
  if (directoryOf.wrong !== undefined) return directoryOf;
  return { value: { kind: 'nfs', server: found[1]!, export: found[2]!, mountOptions } };
}

function readSsh(text: string): Reading<Target> {
  const found = /^([A-Za-z0-9_][\w.@\\+-]*)@([\w:[][\w.:%[\]-]*)$/.exec(text);
  if (found === null) return { wrong: `"${text}" is not USER@HOST` };
  return { value: { kind: 'ssh', user: found[1]!, host: found[2]!.replace(/^\[(.*)\]$/, '$1') } };
}

/** Reads `KIND VALUE`, where the kind is a target directive or `directory`. */
export function readKindAndTarget(text: string): Reading<Target> {
  const found = /^(\S+)\s+(\S.*)$/.exec(text);
  const [, kind, value] = found ?? [];
  if (kind === 'directory') {
    const read = path.read(value!);
    return read.wrong !== undefined ? read : { value: { kind, path: directory.read(value!).value! } };
  }
  if (kind === undefined || !isTargetDirective(kind))
    return { wrong: `"${text}" is not a target such as "nfs SERVER:/EXPORT" or "directory /var/crash"` };
  return readTarget(kind, value!);
}

/** How a target of `--mount "DEVICE MOUNTPOINT FSTYPE OPTIONS"` in dracut_args counts; undefined when there is none. */
export function targetOfDracutArgs(args: readonly string[]): Reading<Target> | undefined {
  const at = args.findIndex((word) => word === '--mount' || word.startsWith('--mount='));
  if (at < 0) return undefined;
  const text = args[at]!.startsWith('--mount=') ? args[at]!.slice('--mount='.length) : (args[at + 1] ?? '');
  const [device = '', , fstype = null, mountOptions = ''] = splitWords(text);
  if (device === '') return { wrong: '--mount names no device' };
  if (fstype === 'nfs' || fstype === 'nfs4') return readNfs(device, mountOptions);
  if (fstype === 'virtiofs') return readTarget('virtiofs', device);
  return readDevice(fstype, device, mountOptions);
}

/** The target as it is written in a configuration. */
export function describeTarget(target: Target): string {
  switch (target.kind) {
    case 'directory':
      return `directory ${target.path}`;
    case 'filesystem':
      return `${target.fstype ?? 'file system'} ${target.device}`;
    case 'raw':
      return `raw ${target.device}`;
    case 'nfs':
      return `nfs ${target.server}:${target.export}`;
    case 'ssh':
      return `ssh ${target.user}@${target.host}`;
    case 'virtiofs':
      return `virtiofs ${target.tag}`;
  }
}
