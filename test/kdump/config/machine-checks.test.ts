import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkMachine, executablesIn } from '../../../src/kdump/config/machine-checks.ts';
import { parseConfig } from '../../../src/kdump/config/parse.ts';
import { withRoot } from './fixtures.ts';

const owner = process.getuid!();
const check = (root: string, text: string, by = owner) =>
  checkMachine(parseConfig(text).config, root, ['me', '192.0.2.1'], by).map(
    ({ file, line, code, message }) => `${file}:${line} ${code} ${message}`,
  );

it('programs are there, executable, and safe from others', () =>
  withRoot(
    {
      'opt/good': '',
      'opt/plain': '',
      'opt/open': '',
      'etc/kdump/post.d/10-x': '',
      'etc/kdump/post.d/README': '',
    },
    (root) => {
      for (const [name, mode] of [
        ['opt/good', 0o755],
        ['opt/open', 0o777],
        ['etc/kdump/post.d/10-x', 0o755],
      ] as const)
        chmodSync(join(root, name), mode);
      chmodSync(join(root, 'opt/plain'), 0o644);
      expect(check(root, 'kdump_pre /opt/good\nextra_bins /opt/open\nnotify boot exec /opt/good')).toEqual(
        [],
      );
      expect(
        check(
          root,
          'kdump_pre /opt/plain\nkdump_post /opt/none\nextra_bins /opt/none\nkdump_emergency /opt/open',
        ),
      ).toEqual([
        '/etc/kdump.conf:1 not-executable Error: /opt/plain is not executable.',
        '/etc/kdump.conf:2 file-missing Error: /opt/none not found.',
        '/etc/kdump.conf:4 unsafe-hook Error: /opt/open would run as root, but others than root can change /opt/open.',
        '/etc/kdump.conf:3 file-missing Error: /opt/none not found.',
      ]);
      expect(check(root, 'kdump_pre /opt', owner)[0]).toContain('not executable');
      // Owned by somebody else than who must own it; so is the one in the directory of hooks.
      expect(check(root, 'kdump_pre /opt/good', owner + 1)).toEqual([
        expect.stringContaining('unsafe-hook Error: /opt/good'),
        expect.stringContaining('/etc/kdump/post.d:0 unsafe-hook Error: /etc/kdump/post.d/10-x'),
      ]);
      chmodSync(join(root, 'opt'), 0o777);
      expect(check(root, 'kdump_pre /opt/good')).toEqual([expect.stringContaining('can change /opt.')]);
      expect(executablesIn(root, '/etc/kdump/post.d')).toEqual(['/etc/kdump/post.d/10-x']);
      expect(executablesIn(root, '/etc/kdump/pre.d')).toEqual([]);
    },
  ));

it('this machine is no node to be told', () =>
  expect(check('/nonexistent', 'fence_kdump_nodes you me 192.0.2.1')).toEqual([
    '/etc/kdump.conf:1 own-node Option fence_kdump_nodes cannot contain me',
    '/etc/kdump.conf:1 own-node Option fence_kdump_nodes cannot contain 192.0.2.1',
  ]));
