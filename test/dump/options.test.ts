import { describe, expect, test } from 'vitest';
import { parseMakedumpfile } from '../../src/dump/options.ts';

const create = (...argv: string[]) => {
  const command = parseMakedumpfile(argv);
  if (command.mode !== 'create') throw new Error(command.mode);
  return command;
};

describe('makedumpfile command line', () => {
  test('flags, values and files in any order', () => {
    const expected = { vmcore: 'a', output: 'b', dumpLevel: 31, compression: 'lzo', overwrite: true };
    expect(create('-l', '-d', '31', '-f', 'a', 'b').request).toEqual(expected);
    expect(create('a', 'b', '-fld31').request).toEqual(expected);
  });

  test('the last compression wins', () => {
    expect(create('-c', '-z', '-l', 'a', 'b').request.compression).toBe('lzo');
    expect(create('-l', '-c', 'a', 'b').request.compression).toBe('zlib');
    expect(create('a', 'b').request.compression).toBe('none');
  });

  test('message levels', () => {
    expect(create('a', 'b').messageLevel).toBe(7);
    expect(create('--message-level', '31', 'a', 'b').messageLevel).toBe(31);
    expect(create('--message-level=1', '-D', '--show-stats', 'a', 'b').messageLevel).toBe(1 | 8 | 16);
    expect(create('--mess=0', 'a', 'b').messageLevel).toBe(0);
  });

  test('--dump-dmesg', () => {
    expect(parseMakedumpfile(['--dump-dmesg', '-f', 'a', 'b'])).toMatchObject({
      mode: 'dmesg',
      vmcore: 'a',
      output: 'b',
      overwrite: true,
    });
    expect(() => parseMakedumpfile(['--dump-dmesg', '-c', 'a', 'b'])).toThrow(/plain text/);
  });

  const refused: [string, string[], RegExp][] = [
    ['an unknown option', ['--bogus', 'a', 'b'], /unrecognized option '--bogus'/],
    ['an unknown letter', ['-q', 'a', 'b'], /invalid option -- 'q'/],
    ['a level that is no number', ['-d', 'x', 'a', 'b'], /option '-d': 'x' is not a number from 0 to 31/],
    ['a level above 31', ['-d', '32', 'a', 'b'], /option '-d': '32'/],
    ['a level that is missing', ['a', 'b', '-d'], /option requires an argument -- 'd'/],
    ['no files', ['-l'], /expected VMCORE and an output file/],
    ['one file', ['-l', 'a'], /expected an output file after 'a'/],
    ['three files', ['a', 'b', 'c'], /unexpected argument 'c'/],
    [
      'an option of the original that is not here',
      ['--split', 'a', 'b'],
      /option '--split' of makedumpfile is not available here/,
    ],
    [
      'a letter of the original that is not here',
      ['-E', 'a', 'b'],
      /option '-E' of makedumpfile is not available here/,
    ],
    ['an ambiguous abbreviation', ['--dump', '--d', 'a', 'b'], /ambiguous/],
  ];
  test.each(refused)('refuses %s', (_, argv, message) => {
    expect(() => parseMakedumpfile(argv)).toThrow(message);
  });
});
