import { gunzipSync } from 'node:zlib';
import { type CpioEntry, readCpio } from '../../../formats/cpio.ts';
import { KdumpError } from '../../../lib/errors.ts';
import { type CaptureConfig, parseCaptureConfig } from '../../capture/config.ts';
import { captureConfigPath, paths } from '../../capture/paths.ts';

/** What a rehearsal has to know of a capture image. */
export type ImageContent = {
  readonly config: CaptureConfig;
  /** Names of the modules that it inserts, as modprobe knows them. */
  readonly modules: readonly string[];
};

/**
 * Looks into an image of our own builder.
 * @param name for errors
 * @throws KdumpError `not-our-image` for any other
 */
export function readImageContent(image: Uint8Array, name: string): ImageContent {
  const entries = firstArchive(image, name);
  const file = (path: string): CpioEntry | undefined => entries.find((entry) => `/${entry.path}` === path);
  const settings = file(captureConfigPath);
  if (settings?.type !== 'file') throw notOurs(name, `it has no ${captureConfigPath}`);
  const inModules = `${paths.modules.slice(1)}/`;
  return {
    config: parseCaptureConfig(Buffer.from(settings.data).toString(), `${captureConfigPath} in ${name}`),
    modules: entries
      .map(({ path }) =>
        path.startsWith(inModules) ? /^\d+-(.+)\.ko$/.exec(path.slice(inModules.length))?.[1] : undefined,
      )
      .filter((module) => module !== undefined),
  };
}

function firstArchive(image: Uint8Array, name: string): CpioEntry[] {
  try {
    // What follows the packed archive is another archive, and none of gzip's business.
    const isPacked = image[0] === 0x1f && image[1] === 0x8b;
    return readCpio(isPacked ? gunzipSync(image) : image).entries;
  } catch (cause) {
    throw notOurs(name, (cause as Error).message);
  }
}

const notOurs = (name: string, why: string): KdumpError =>
  new KdumpError('not-our-image', `${name} is no capture image of our own builder: ${why}`, {
    fix: 'An image of dracut or initramfs-tools needs the disks of this machine: try it by kdumpctl test.',
  });
