import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editConfig, editConfigFile } from '../../../src/kdump/config/edit.ts';
import { parseConfig } from '../../../src/kdump/config/parse.ts';
import { fixture, withRoot } from './fixtures.ts';

const set = (name: string, value: string, add = false) => ({ action: 'set', name, value, add }) as const;

describe('editConfig', () => {
  it.each([
    [
      'replaces a value and keeps its comment',
      'path /a  # here\nnfs s:/x\n',
      set('path', '/b'),
      'path /b  # here\nnfs s:/x\n',
    ],
    ['keeps how lines end', '# c\r\npath /a\r\n', set('path', '/b'), '# c\r\npath /b\r\n'],
    [
      'one target takes the place of another',
      '# c\next4 /dev/a\npath /b\n',
      set('ssh', 'a@b'),
      '# c\nssh a@b\npath /b\n',
    ],
    [
      'goes behind its example',
      '#ssh u@h\n#nfs s:/x\npath /a\n',
      set('ssh', 'a@b'),
      '#ssh u@h\nssh a@b\n#nfs s:/x\npath /a\n',
    ],
    ['goes to the end', 'path /a', set('final_action', 'halt'), 'path /a\nfinal_action halt\n'],
    ['makes a file', '', set('path', '/a'), 'path /a\n'],
    ['quotes where a comment would begin', '', set('extra_bins', '/a #b'), null],
    ['repairs what was given twice', 'path /a\n# c\npath /b\n', set('path', '/d'), 'path /d\n# c\n'],
    [
      'the new name takes the place of the old',
      'default halt\n',
      set('failure_action', 'shell'),
      'failure_action shell\n',
    ],
    [
      'adds',
      'notify boot exec /a\npath /x\n',
      set('notify', 'boot exec /b', true),
      'notify boot exec /a\nnotify boot exec /b\npath /x\n',
    ],
    [
      'replaces all of a kind',
      'notify boot exec /a\npath /x\nnotify boot exec /b\n',
      set('notify', 'boot exec /c'),
      'notify boot exec /c\npath /x\n',
    ],
    ['removes', '# c\npath /a\nnfs s:/x\n', { action: 'unset', name: 'path' } as const, '# c\nnfs s:/x\n'],
    ['removes what is not there', 'path /a\n', { action: 'unset', name: 'sshkey' } as const, 'path /a\n'],
    ['mends one mistake of two', 'foo 1\npath\n', set('path', '/a'), 'foo 1\npath /a\n'],
  ])('%s', (_, text, edit, changed) => {
    if (changed === null) expect(() => editConfig(text, edit)).toThrow(/"#b" is not a name/);
    else expect(editConfig(text, edit)).toBe(changed);
  });

  it.each([
    [set('final_action', 'sleep'), 'config-invalid'],
    [set('path', ''), 'config-invalid'],
    [set('force_no_rebuild', '1'), 'config-invalid'],
    [set('path', '/a\nssh a@b'), 'usage'],
    [set('path', '/a', true), 'usage'],
  ])('refuses %j', (edit, code) =>
    expect(() => editConfig('force_rebuild 1\n', edit)).toThrow(expect.objectContaining({ code })),
  );

  it('leaves every other line as it is, and says what was set', () => {
    const lines = fc.array(fc.constantFrom('# c', '', 'nfs s:/x', 'sshkey /k # c', '#path /x', 'junk'), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(lines, fc.constantFrom('/a', '/a b', '/a#b', '/"q"', '/a # b'), (before, value) => {
        const text = before.join('\n');
        const changed = editConfig(text, set('path', value));
        expect(parseConfig(changed).config.settings.path).toBe(value);
        const others = (all: string) =>
          all.split('\n').filter((line) => !line.startsWith('path ') && line !== '');
        expect(others(changed)).toEqual(others(text));
      }),
    );
  });
});

describe('editConfigFile', () => {
  it('keeps mode, bytes and the link, and leaves nothing beside it', () =>
    withRoot({ 'real/kdump.conf': '' }, (root) => {
      const real = join(root, 'real/kdump.conf');
      writeFileSync(real, Buffer.from('# caf\xe9\npath /a\n', 'latin1'));
      chmodSync(real, 0o640);
      mkdirSync(join(root, 'etc'));
      symlinkSync('../real/kdump.conf', join(root, 'etc/kdump.conf'));
      const { findings } = editConfigFile(root, set('path', '/é'));
      expect(findings).toEqual([]);
      expect(readFileSync(real)).toEqual(
        Buffer.concat([Buffer.from('# caf\xe9\npath /', 'latin1'), Buffer.from('é\n')]),
      );
      expect(statSync(real).mode & 0o777).toBe(0o640);
      expect(readdirSync(join(root, 'etc'))).toEqual(['kdump.conf']);
      expect(readdirSync(join(root, 'real'))).toEqual(['kdump.conf']);
    }));

  it('makes the file when there is none, and changes nothing when the value is wrong', () =>
    withRoot({ 'etc/x': '' }, (root) => {
      expect(() => editConfigFile(root, set('path', '..'))).toThrow(/leads out/);
      expect(readdirSync(join(root, 'etc'))).toEqual(['x']);
      editConfigFile(root, set('path', '/a'));
      expect(readFileSync(join(root, 'etc/kdump.conf'), 'utf8')).toBe('path /a\n');
    }));

  it('an unchanged RHEL configuration gets its target behind the example', () =>
    withRoot({ 'etc/kdump.conf': fixture('rhel-default.conf') }, (root) => {
      editConfigFile(root, set('nfs', 'files:/dumps'));
      expect(readFileSync(join(root, 'etc/kdump.conf'), 'utf8')).toContain(
        '#nfs my.server.com:/export/tmp\nnfs files:/dumps\n#ssh',
      );
    }));
});
