import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAssignments } from '../../../src/kdump/config/assignments.ts';
import { fixture } from './fixtures.ts';

const read = (text: string) => {
  const { variables, findings } = parseAssignments(text, 'f');
  return {
    values: Object.fromEntries([...variables].map(([name, { value }]) => [name, value])),
    findings: findings.map(({ line, message }) => `${line} ${message}`),
  };
};

describe('parseAssignments', () => {
  it.each([
    ['A="b c"', 'b c'],
    ["A='b c'", 'b c'],
    ['A=b', 'b'],
    ['A=', ''],
    ['A=""', ''],
    ['  export A="b"  ', 'b'],
    ['A="b" # c', 'b'],
    ['A="b # c"', 'b # c'],
    ['A=b#c', 'b#c'],
    ['A=b;', undefined],
    ['A="b=c;d"', 'b=c;d'],
    ['A="\\"b\\" \\$c \\\\ \\d"', '"b" $c \\ \\d'],
    ["A='1e5'", '1e5'],
    ["A='[1,2]'", '[1,2]'],
    ['A=true', 'true'],
    ['A="null"', 'null'],
    ['A="b \\\nc"', 'b  c'],
    ['A="b\n  c\n d"\nB=x', 'b c d'],
    ['A=b\\\nc', 'bc'],
    ['A="b\u2028c"', 'b\u2028c'],
    ['A=1\nA=2', '2'],
    ['A="b', undefined],
    ['A=b c', undefined],
    ['A="b""c"', undefined],
  ])('%j', (text, value) => expect(read(text).values.A).toBe(value));

  it('shells and systemd take other names, too', () =>
    expect(read('__proto__=x\nconstructor=y').values).toHaveProperty('constructor', 'y'));

  it('names what only a shell understands, with its line', () => {
    const { values, findings } = read(fixture('shell.default'));
    expect(findings).toEqual([
      '1 ". /etc/default/common" is not NAME="value", and is left out.',
      '4 KDUMP_CMDLINE_APPEND+= does not add to the value here, and is left out.',
      '5 a command in the value of KDUMP_KERNEL is taken literally.',
      '6 a command in the value of KDUMP_IMAGE is taken literally.',
      '7 a variable in the value of KDUMP_CMDLINE is taken literally.',
      '8 "if [ -f /x ]; then" is not NAME="value", and is left out.',
      '9 The value of MAKEDUMP_ARGS has an open quote, or more than one word, and is left out.',
    ]);
    expect(values).toEqual({
      KDUMP_COREDIR: '/srv/crash',
      KDUMP_CMDLINE_APPEND: 'nr_cpus=1',
      KDUMP_KERNEL: '/boot/vmlinuz-$(uname -r)',
      KDUMP_IMAGE: '/var/lib/`hostname`.img',
      KDUMP_CMDLINE: 'root=$ROOT quiet',
    });
  });

  it('counts the lines of values that take several', () =>
    expect(read('A="b\nc"\nB=`x`').findings).toEqual(['3 a command in the value of B is taken literally.']));

  it('refuses what is far too large in one error', () =>
    expect(read('A=b\n'.repeat(2_500_000)).findings).toEqual(['0 this is not a file of NAME="value" lines']));

  it('reads whatever it is given', () => {
    const piece = fc.constantFrom(
      'A',
      '=',
      '"',
      "'",
      '\\',
      '\n',
      '$',
      '`',
      ' ',
      '#',
      '[',
      ']',
      'export ',
      '\r',
      '+',
    );
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: piece }), fc.string({ unit: 'binary' })), (text) => {
        parseAssignments(text, 'f');
      }),
      { numRuns: 3000 },
    );
  });

  it('a quoted value is what a shell makes of it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((text) => !/[\0\n\r]/.test(text)),
        (text) => {
          const quoted = text.replaceAll(/["\\$`]/g, '\\$&');
          expect(read(`A="${quoted}"`)).toEqual({ values: { A: text }, findings: [] });
        },
      ),
    );
  });
});
