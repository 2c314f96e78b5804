// Where this machine gets its Debian packages from: read out of its own apt sources, in both of apt's formats, so that
// the lab follows the machine's mirror and knows no host name itself. Pure.

export type DebianMirrors = {
  /** URI of the main archive. */
  archive: string;
  /** URI of the security archive, when the machine uses one. */
  security: string | undefined;
};

type Source = { uri: string; suite: string; components: string[]; signedBy: string };

const releases = /^(bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable)$/;
const securityReleases = /^[a-z]+(-security|\/updates)$/;

/**
 * Chooses the Debian mirrors among the sources of a machine.
 * @param files texts of sources.list and of sources.list.d/*, by name; `.sources` files are deb822.
 * @returns undefined when no source is a Debian archive.
 */
export function debianMirrors(files: ReadonlyMap<string, string>): DebianMirrors | undefined {
  const sources: Source[] = [];
  for (const [name, text] of files) {
    if (name.endsWith('.sources')) sources.push(...parseDeb822(text));
    else if (name.endsWith('.list')) sources.push(...parseOneLine(text));
  }
  const main = sources.filter((source) => source.components.includes('main'));
  // Other vendors name their suites after Debian's releases too; Debian's own archive is signed by Debian's keyring
  // (or by default) and is the one that also has "-updates".
  const score = (source: Source) =>
    (/debian-archive/.test(source.signedBy) ? 4 : source.signedBy === '' ? 2 : 0) +
    (main.some((other) => other.uri === source.uri && other.suite.endsWith('-updates')) ? 2 : 0) +
    (/debian(-security)?(\.list)?\/?$/.test(source.uri) ? 1 : 0);
  const best = (candidates: Source[]) => candidates.sort((a, b) => score(b) - score(a))[0]?.uri;
  const archive = best(main.filter((source) => releases.test(source.suite)));
  if (archive === undefined) return undefined;
  return { archive, security: best(main.filter((source) => securityReleases.test(source.suite))) };
}

function parseDeb822(text: string): Source[] {
  const sources: Source[] = [];
  for (const stanza of text.split(/\n[ \t]*\n/)) {
    const fields = new Map<string, string>();
    let last = '';
    for (const line of stanza.split('\n')) {
      if (line.startsWith('#') || line.trim() === '') continue;
      const field = /^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$/.exec(line);
      if (field !== null) {
        last = field[1]!.toLowerCase();
        fields.set(last, field[2]!);
      } else if (/^[ \t]/.test(line) && last !== '') {
        fields.set(last, `${fields.get(last)}\n${line}`);
      }
    }
    const words = (name: string) => (fields.get(name) ?? '').split(/\s+/).filter((word) => word !== '');
    if (!words('types').includes('deb') || /^(no|false|0|off|disable)/i.test(fields.get('enabled') ?? '')) {
      continue;
    }
    for (const uri of words('uris')) {
      for (const suite of words('suites')) {
        sources.push({
          uri,
          suite,
          components: words('components'),
          signedBy: fields.get('signed-by') ?? '',
        });
      }
    }
  }
  return sources;
}

function parseOneLine(text: string): Source[] {
  const sources: Source[] = [];
  for (const line of text.split('\n')) {
    const found = /^[ \t]*deb[ \t]+(?:\[([^\]]*)\][ \t]+)?(\S+)[ \t]+(\S+)[ \t]+([^#]*)/.exec(line);
    if (found === null) continue;
    const signedBy = /signed-by=(\S+)/i.exec(found[1] ?? '')?.[1] ?? '';
    sources.push({
      uri: found[2]!,
      suite: found[3]!,
      components: found[4]!.split(/\s+/).filter((word) => word !== ''),
      signedBy,
    });
  }
  return sources;
}
