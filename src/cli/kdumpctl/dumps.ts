import { basename, dirname, join, resolve } from 'node:path';
import type { Argv } from 'yargs';
import { readSettings } from '../../kdump/config/settings.ts';
import { listAllDumps, readDump } from '../../kdump/dumps/list.ts';
import { allDumpPlaces, type DumpPlace } from '../../kdump/dumps/places.ts';
import type { SavedDump } from '../../kdump/dumps/saved-dump.ts';
import { namesOf, type Saves, savesOfArmed, stateDirectory } from '../../kdump/service/state.ts';
import { KdumpError } from '../../lib/errors.ts';

/** What list and show are both told. */
export type Where = { readonly root: string; readonly directory: string | undefined; readonly json: boolean };

export const whereOptions = (yargs: Argv) =>
  yargs
    .option('directory', {
      alias: 'd',
      type: 'string',
      describe: 'look there, instead of where the targets of the settings are',
    })
    .option('root', { type: 'string', default: '/', describe: 'the root below which the files lie' })
    .option('json', { type: 'boolean', default: false, describe: 'print JSON' });

type Found = { dumps: SavedDump[]; unseen: DumpPlace[] };

/** The dumps that can be seen from here, oldest first, and the places that cannot be looked into. */
export function findDumps({ root, directory }: Omit<Where, 'json'>): Found {
  return foundIn(directory === undefined ? allDumpPlaces(allSaves(root), root) : [{ target: '', directory }]);
}

/** Those of this machine, where others may save theirs, too. */
export function findOwnDumps(root: string): Found {
  const saves = allSaves(root);
  return foundIn(allDumpPlaces(saves, root), namesOf(saves));
}

const foundIn = (places: readonly DumpPlace[], names?: readonly string[]): Found => ({
  dumps: listAllDumps(places, names),
  unseen: places.filter((place) => place.directory === null),
});

/** How the settings have dumps saved, and how the machine as it is armed does: one of them may be wrong by now. */
const allSaves = (root: string): Saves[] => [
  readSettings(root).settings,
  ...savesOfArmed(join(root, stateDirectory)),
];

/**
 * The dump that is meant: by its directory's name, the beginning of that, a path; the newest when nothing is said.
 * @throws KdumpError `no-dump`
 */
export function chooseDump(named: string | undefined, where: Omit<Where, 'json'>): SavedDump {
  if (named?.includes('/')) {
    const path = resolve(named);
    const dump = readDump(dirname(path), basename(path));
    if (dump !== undefined) return dump;
    throw new KdumpError('no-dump', `${named} holds no dump`);
  }
  const { dumps, unseen } = findDumps(where);
  const found = named === undefined ? dumps : dumps.filter(({ name }) => name.startsWith(named));
  const exact = found.filter(({ name }) => name === named);
  const candidates = exact.length > 0 ? exact : found;
  if (candidates.length === 0)
    throw new KdumpError(
      'no-dump',
      named === undefined ? 'there is no dump' : `there is no dump named ${named}`,
      {
        fix: [
          ...unseen.map(({ target, why }) => `Of "${target}": ${why}.`),
          'kdumpctl list names the dumps.',
        ].join('\n  '),
      },
    );
  if (named !== undefined && candidates.length > 1)
    throw new KdumpError('no-dump', `${named} stands for ${candidates.length} dumps`, {
      fix: `They are ${candidates.map(({ name }) => name).join(', ')}.`,
    });
  return candidates.at(-1)!;
}
