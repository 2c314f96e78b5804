import { bzImageHeadBytes } from '../../formats/bzimage.ts';
import { isPe, isPeSigned, type PeSection, readPeSections } from '../../formats/pe.ts';
import { KdumpError } from '../../lib/errors.ts';
import { concatenate, type ImageContent, memoryContent, partOf } from './content.ts';

/** What a unified kernel image holds that a load has a use for. */
export type Uki = {
  /** The kernel, which may be compressed. */
  readonly linux: ImageContent;
  readonly commandLine: string | null;
  /** Microcode and initrd, in this order, as one. */
  readonly initrd: ImageContent | null;
  readonly dtb: ImageContent | null;
  /** The envelope carries a signature. */
  readonly signed: boolean;
};

/** Sections that only a unified kernel image has. */
const telling = ['.linux', '.initrd', '.cmdline', '.ucode', '.uname', '.osrel', '.profile'];
/** No kernel takes more; a section that claims more is damaged. */
const longestCommandLine = 64 * 1024;
/** Archives of an initramfs begin at multiples of 4 bytes. */
const archiveAlignment = 4;

/**
 * Takes a unified kernel image apart (UAPI.5, systemd-stub(7)). Of several profiles it is the first, which the stub
 * takes, too, when none is named: what stands before all profiles, but for what the first one has of its own.
 * @returns null for any other file
 * @throws KdumpError `bad-pe` for section headers that the file contradicts, `bad-uki` when there is no kernel in it
 */
export function readUki(file: ImageContent): Uki | null {
  const { name } = file;
  const head = file.read(0, Math.min(file.size, bzImageHeadBytes));
  if (!isPe(head)) return null;
  const sections = readPeSections((offset, length) => file.read(offset, length), file.size, name);
  if (!sections.some((section) => telling.includes(section.name))) return null;

  const part = (wanted: string): ImageContent | null => sectionContent(file, firstProfile(sections), wanted);
  const linux = part('.linux');
  if (linux === null)
    throw new KdumpError('bad-uki', `${name}: a unified kernel image without a kernel: no .linux section`, {
      fix: 'Give the whole image; an addon (*.addon.efi) has no kernel.',
    });
  return {
    linux,
    commandLine: commandLineOf(part('.cmdline')),
    initrd: joinInitrds([part('.ucode'), part('.initrd')], `${name}: .initrd`),
    dtb: part('.dtb'),
    signed: isPeSigned(head),
  };
}

/** The sections of the first profile, and behind them those that belong to every profile. */
function firstProfile(sections: readonly PeSection[]): readonly PeSection[] {
  const isProfile = ({ name }: PeSection): boolean => name === '.profile';
  const start = sections.findIndex(isProfile);
  if (start < 0) return sections;
  const [, ...rest] = sections.slice(start);
  const next = rest.findIndex(isProfile);
  return [...(next < 0 ? rest : rest.slice(0, next)), ...sections.slice(0, start)];
}

/** The first section of a name, as the stub takes it; null when there is none or nothing is in it. */
function sectionContent(
  file: ImageContent,
  sections: readonly PeSection[],
  wanted: string,
): ImageContent | null {
  const section = sections.find(({ name }) => name === wanted);
  if (section === undefined || section.size === 0) return null;
  return partOf(file, section.offset, section.size, `${file.name}: ${wanted}`);
}

/** Text up to a NUL; the stub, too, makes spaces of newlines and the like, and drops them at both ends. */
function commandLineOf(section: ImageContent | null): string | null {
  if (section === null) return null;
  if (section.size > longestCommandLine)
    throw new KdumpError('bad-uki', `${section.name}: ${section.size} bytes are no command line`);
  const text = new TextDecoder().decode(section.read(0, section.size));
  const line = text
    .replace(/\0.*/s, '')
    .replace(/[\x01-\x20]+/g, ' ')
    .trim();
  return line === '' ? null : line;
}

function joinInitrds(parts: readonly (ImageContent | null)[], name: string): ImageContent | null {
  const archives = parts.filter((part) => part !== null);
  const padded = archives.flatMap((archive, index) => {
    const over = archive.size % archiveAlignment;
    if (over === 0 || index === archives.length - 1) return [archive];
    return [archive, memoryContent(new Uint8Array(archiveAlignment - over), name)];
  });
  return padded.length > 1 ? concatenate(padded, name) : (padded[0] ?? null);
}
