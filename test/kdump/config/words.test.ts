import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinWords, quoteValue, splitLine, splitWords } from '../../../src/kdump/config/words.ts';

describe('splitLine', () => {
  it.each([
    ['path /var/crash', 'path', '/var/crash', ''],
    ['  path \t /var/crash  ', 'path', '/var/crash', ''],
    ['path "/var/crash"', 'path', '/var/crash', ''],
    ['path /var/crash # here', 'path', '/var/crash', '# here'],
    ['path /var/crash#1', 'path', '/var/crash#1', ''],
    ['path "/var/cr #1" # one', 'path', '/var/cr #1', '# one'],
    ['dracut_args --add "a # b" # c', 'dracut_args', '--add "a # b"', '# c'],
    ['path /a " # open', 'path', '/a "', '# open'],
    ['path # nothing', 'path', '', '# nothing'],
    ['path', 'path', '', ''],
    ['path /a\r', 'path', '/a', ''],
    ['# path /a', '', '', '# path /a'],
    ['', '', '', ''],
  ])('%j', (line, name, value, comment) => {
    expect(splitLine(line)).toMatchObject({ name, value, comment });
  });

  it('counts columns', () => expect(splitLine('  path   /a')).toMatchObject({ column: 2, valueColumn: 9 }));

  it('reads back what quoteValue makes of its values', () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', '"', '#', "'", '\\', '\t'), maxLength: 20 });
    fc.assert(
      fc.property(text, (raw) => {
        const { value } = splitLine(`x ${raw}`);
        if (value !== '') expect(splitLine(`x ${quoteValue(value)}`).value).toBe(value);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('splitWords', () => {
  it.each([
    ['makedumpfile  -l -d 31', ['makedumpfile', '-l', '-d', '31']],
    ['--omit "a b" --add c', ['--omit', 'a b', '--add', 'c']],
    [`--mount '/dev/x /y z'`, ['--mount', '/dev/x /y z']],
    ['--mount="a b"c', ['--mount=a bc']],
    [`it's`, [`it's`]],
    ['""', ['']],
    ['  ', []],
  ])('%j', (text, words) => expect(splitWords(text)).toEqual(words));

  it('reads back what joinWords makes', () => {
    const word = fc.string({ unit: fc.constantFrom('a', ' ', '"', "'", '#', '-'), maxLength: 8 });
    fc.assert(
      fc.property(fc.array(word), (words) => {
        expect(splitWords(joinWords(words))).toEqual(words);
      }),
    );
  });
});
