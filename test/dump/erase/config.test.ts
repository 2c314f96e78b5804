import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EraseCommand, type ForLoop, parseEraseConfig } from '../../../src/dump/erase/config.ts';
import { KdumpError } from '../../../src/lib/errors.ts';

const parse = (text: string) => parseEraseConfig(text, 'my.conf');
/** Commands as one reads them. */
const shown = (command: EraseCommand | ForLoop): string => {
  if (command.kind === 'for') {
    const { variable, over, via, within, body } = command;
    const how = via !== undefined ? ` via ${via}` : within ? ` within ${within.struct}:${within.member}` : '';
    return `for ${variable} in ${over.root}/${over.members.join('/')}${how} { ${body.map(shown).join('; ')} }`;
  }
  const { what, size, nullify } = command;
  const bytes =
    size === undefined
      ? ''
      : size.kind === 'bytes'
        ? ` size ${size.bytes}`
        : ` size of ${size.of.isLoopVariable ? '$' : ''}${[size.of.root, ...size.of.members].join('/')}`;
  return `erase ${what.isLoopVariable ? '$' : ''}${[what.root, ...what.members].join('/')}${nullify ? ' nullify' : bytes}`;
};
const all = (text: string) => parse(text).map(({ module, commands }) => [module, ...commands.map(shown)]);

describe('commands', () => {
  test.each([
    ['erase a', 'erase a'],
    ['erase a.b.c', 'erase a/b/c'],
    ['erase a->b.c', 'erase a/b/c'],
    ['erase a size 25', 'erase a size 25'],
    ['erase a size 1K', 'erase a size 1024'],
    ['erase a size 3m', 'erase a size 3145728'],
    ['erase a size b.c', 'erase a size of b/c'],
    ['erase a.b nullify', 'erase a/b nullify'],
    ['erase a # size 5', 'erase a'],
    ['\terase\ta\tsize\t5  ', 'erase a size 5'],
    ['erase\n  a\n  size\n 5', 'erase a size 5'],
    ['for x in a endfor', 'for x in a/ {  }'],
    ['for x in a.b\nerase x\nerase x.c nullify\nendfor', 'for x in a/b { erase $x; erase $x/c nullify }'],
    ['for x in a via next\n erase x.k size x.n\nendfor', 'for x in a/ via next { erase $x/k size of $x/n }'],
    ['for x in a via next\n erase x size other\nendfor', 'for x in a/ via next { erase $x size of other }'],
    ['for x in a within s:m\nendfor', 'for x in a/ within s:m {  }'],
    ['for x in a within s\nendfor', 'for x in a/ within s:list {  }'],
  ])('%j', (text, expected) => {
    expect(all(text)).toEqual([['vmlinux', expected]]);
  });

  test('sections, with lines and columns', () => {
    const text = 'erase a\n[vmlinux]\nerase b\n[ my_module ] # comment\n  erase c\r\n[empty]\n';
    expect(all(text)).toEqual([
      ['vmlinux', 'erase a'],
      ['vmlinux', 'erase b'],
      ['my_module', 'erase c'],
    ]);
    const [, , third] = parse(text);
    expect(third).toMatchObject({ line: 4, column: 1 });
    expect(third!.commands[0]).toMatchObject({ line: 5, column: 3, what: { line: 5, column: 9 } });
  });

  test('a file of comments asks for nothing', () => {
    expect(parse('')).toEqual([]);
    expect(parse('# erase a\n\n   # more\n')).toEqual([]);
  });
});

describe('what is not understood is refused as a whole, with its place', () => {
  test.each([
    ['erase a\ndelete b', 2, 1, "expected erase or for, found 'delete'"],
    ['erase', 1, 6, "expected a symbol behind 'erase', found the end of the file"],
    ['erase size 5', 1, 7, "found 'size'"],
    ['erase a size', 1, 13, "expected a number or a symbol behind 'size'"],
    ['erase a size nullify', 1, 14, "found 'nullify'"],
    ['erase a size 5 nullify', 1, 16, "found 'nullify'"],
    ['erase a size 5X', 1, 14, "'5X' is no size"],
    ['erase a size -5', 1, 14, "'-5' is no size"],
    ['erase a size 99999999999999999999', 1, 14, 'is no size'],
    ['erase a[3]', 1, 7, "'a[3]' is no symbol with members"],
    ['erase .', 1, 7, "'.' is no symbol"],
    ['  for', 1, 6, "expected the name of a variable behind 'for'"],
    ['for x.y in a\nendfor', 1, 5, "'x.y' is no name of a variable"],
    ['for x of a\nendfor', 1, 7, "expected in behind 'for x', found 'of'"],
    ['for x in\nendfor', 2, 1, "expected a symbol behind 'in', found 'endfor'"],
    ['for x in a within s:\nendfor', 1, 19, "'s:' is not STRUCT:MEMBER"],
    ['for x in a via\nendfor', 2, 1, "expected a member behind 'via'"],
    ['erase b\nfor x in a\nerase x', 2, 1, "'for x' has no endfor"],
    ['for x in a\nerase x\n[module]\nendfor', 1, 1, "'for x' has no endfor"],
    ['for x in a\nerase y\nendfor', 2, 7, "'y' is not the variable of the loop, 'x'"],
    [
      'for x in a\nfor y in b\nendfor\nendfor',
      2,
      1,
      "expected erase or endfor behind 'in a loop', found 'for'",
    ],
    ['endfor', 1, 1, "found 'endfor'"],
    ['[module', 1, 1, "the heading '[module' lacks its ]"],
    ['[]', 1, 1, "'' is no name of a module"],
    ['[a] erase b', 1, 5, 'commands start on the line behind a heading'],
  ])('%j', (text, line, column, message) => {
    let thrown: KdumpError | undefined;
    try {
      parse(text);
    } catch (error) {
      thrown = error as KdumpError;
    }
    expect(thrown?.code).toBe('bad-erase-config');
    expect(thrown?.message).toContain(`my.conf:${line}:${column}: `);
    expect(thrown?.message).toContain(message);
  });

  test('any text gives commands or an error', () => {
    const word = fc.constantFrom(
      ...[
        'erase',
        'for',
        'in',
        'via',
        'within',
        'endfor',
        'size',
        'nullify',
        'x',
        'a.b',
        's:m',
        '[m]',
        '4K',
        '#',
      ],
      ...[' ', '\n', '\t', '\r\n'],
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join(' ')),
        ),
        (text) => {
          try {
            parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(KdumpError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
