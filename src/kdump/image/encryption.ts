import { closeSync, existsSync, openSync, readdirSync, readSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type LuksHeader, luksHeaderBytes, readLuksHeader } from '../../formats/luks.ts';
import { KdumpError } from '../../lib/errors.ts';
import { readText } from '../../system/proc.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { describeTarget, type Target } from '../config/target.ts';
import { findDevice, targetOfDirectory } from './target.ts';

/** An encrypted volume below a target. */
export type EncryptedVolume = {
  /** Under which it is open here; null: it is closed. */
  readonly name: string | null;
  /** The device that holds it. */
  readonly device: string;
};

/** Layers of devices that anybody has. */
const deepest = 16;

/**
 * The encrypted volumes that stand between a device and the disks, the uppermost first.
 * @param device path as /dev/mapper/data
 * @param root directory that stands in for /, with sys and dev in it
 */
export function encryptedVolumes(device: string, root = '/'): EncryptedVolume[] {
  const path = join(root, device);
  if (!existsSync(path)) return [];
  const name = basename(realpathSync(path));
  const closed = readHeader(join('/dev', name), root) === undefined ? [] : [{ name: null, device }];
  return [...closed, ...openBelow(name, root, 0)];
}

function openBelow(name: string, root: string, depth: number): EncryptedVolume[] {
  const directory = join(root, 'sys/class/block', name);
  const slaves = existsSync(join(directory, 'slaves')) ? readdirSync(join(directory, 'slaves')).sort() : [];
  if (depth === deepest) return [];
  // The device mapper writes down who has made a device.
  const isEncrypted = readText(directory, 'dm/uuid')?.startsWith('CRYPT-') === true;
  const here = isEncrypted
    ? slaves.map((slave) => ({
        name: readText(directory, 'dm/name')?.trim() ?? name,
        device: join('/dev', slave),
      }))
    : [];
  return [...here, ...slaves.flatMap((slave) => openBelow(slave, root, depth + 1))];
}

function readHeader(device: string, root: string): LuksHeader | undefined {
  try {
    const fd = openSync(join(root, device), 'r');
    try {
      const start = Buffer.alloc(luksHeaderBytes);
      return readLuksHeader(start.subarray(0, readSync(fd, start, 0, start.length, 0)));
    } finally {
      closeSync(fd);
    }
  } catch {
    // What cannot be read is nothing that a dump goes to.
    return undefined;
  }
}

/** What crypttab(5) opens a volume with, when that is no passphrase; null when somebody has to type one. */
function keyOf({ name }: EncryptedVolume, root: string): string | null {
  const lines = (readText(root, 'etc/crypttab') ?? '').split('\n').map((line) => line.trim().split(/\s+/));
  const [, , key = 'none', options = ''] = lines.find(([first]) => first === name) ?? [];
  const token = /(?:^|,)((?:tpm2-device|fido2-device|pkcs11-uri)=[^,]*)/.exec(options)?.[1];
  if (token !== undefined) return token;
  return key === 'none' || key === '-' || key === '' ? null : key;
}

/**
 * Looks whether the capture kernel could open what a target lies on.
 * @returns warnings, where it may be able to
 * @throws KdumpError `target-encrypted` where it is not
 */
export function checkEncryption(target: Target, builder: EffectiveSettings['builder'], root = '/'): string[] {
  const device = deviceOf(target, root);
  const volumes = device === undefined ? [] : encryptedVolumes(device, root);
  return volumes.map((volume) => {
    const on = volume.name === null ? volume.device : `${volume.name} on ${volume.device}`;
    const key = volume.name === null ? null : keyOf(volume, root);
    if (key !== null && builder !== 'own')
      return `The target ${describeTarget(target)} is encrypted (${on}): the capture kernel can open it only if ${builder} brings ${key} into the image and it works there. Only kdumpctl test shows whether it does; kdumpctl estimate tells how much memory it takes.`;
    throw new KdumpError(
      'target-encrypted',
      `the target ${describeTarget(target)} is encrypted (${on}), and the capture kernel cannot open it ${key === null ? 'without somebody who types its passphrase' : `with an image of our own builder, which brings no ${key}`}`,
      {
        fix: `Name a target that is not encrypted: a partition of its own, or another machine (ssh, nfs)${key === null ? '' : '. Or write image_builder dracut to /etc/kdump.conf'}.`,
        facts: { device: volume.device },
      },
    );
  });
}

/** The program that opens volumes, beside the memory of Argon2. */
const cryptsetupBytes = 20 << 20;

/** Bytes that opening the encrypted volumes below the targets takes, one after the other; 0 when there are none. */
export function unlockBytes(targets: readonly Target[], root = '/'): number {
  const volumes = targets.flatMap((target) => {
    const device = deviceOf(target, root);
    return device === undefined ? [] : encryptedVolumes(device, root);
  });
  if (volumes.length === 0) return 0;
  const keys = volumes.map(({ device }) => readHeader(device, root)?.keyMemory ?? 0);
  return cryptsetupBytes + Math.max(...keys);
}

/** The device of a local target; undefined when it is on another machine, or not there. */
function deviceOf(target: Target, root: string): string | undefined {
  switch (target.kind) {
    case 'directory':
      try {
        return targetOfDirectory(target.path).path;
      } catch (error) {
        // Whoever settles the target says why.
        if (error instanceof KdumpError) return undefined;
        throw error;
      }
    case 'filesystem':
    case 'raw':
      return findDevice(target.device, root);
    default:
      return undefined;
  }
}
