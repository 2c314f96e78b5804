import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { getopt, hasOption, lastValue, type OptionSpec } from '../../src/lib/getopt.ts';

const specs: readonly OptionSpec[] = [
  { name: 'load', short: 'l' },
  { name: 'load-panic', short: 'p' },
  { name: 'append', long: ['append', 'command-line'], takesValue: true },
  { name: 'initrd', long: ['initrd', 'initramfs'], short: 'i', takesValue: true },
  { name: 'status', short: 'S' },
  { name: 'help', long: [], short: '?' },
];
const parse = (...argv: string[]) => getopt(argv, specs);
const names = (...argv: string[]) => parse(...argv).options.map((o) => o.name);

describe('getopt', () => {
  test('bundled, attached and separate forms', () => {
    expect(names('-lp', '-S')).toEqual(['load', 'load-panic', 'status']);
    expect(parse('-pi', 'file').options.at(-1)).toEqual({ name: 'initrd', value: 'file' });
    expect(parse('-pifile').options.at(-1)).toEqual({ name: 'initrd', value: 'file' });
    expect(parse('--append=a=b c').options).toEqual([{ name: 'append', value: 'a=b c' }]);
    expect(parse('--append', '--load').options).toEqual([{ name: 'append', value: '--load' }]);
    expect(parse('--append=').options).toEqual([{ name: 'append', value: '' }]);
    expect(names('-?')).toEqual(['help']);
  });
  test('positionals anywhere, a lone dash, and the end of options', () => {
    expect(parse('a', '-l', 'b', '-', '--', '-p', '--load').positionals).toEqual([
      'a',
      'b',
      '-',
      '-p',
      '--load',
    ]);
    expect(names('a', '-l', '--', '-p')).toEqual(['load']);
  });
  test('synonyms and abbreviations', () => {
    expect(names('--command-line=x', '--comm=y')).toEqual(['append', 'append']);
    expect(names('--load')).toEqual(['load']);
    expect(names('--load-p')).toEqual(['load-panic']);
    expect(names('--init=x')).toEqual(['initrd']);
  });
  test('the last one wins', () => {
    expect(lastValue(parse('--append=a', '--append=b'), 'append')).toBe('b');
    expect(lastValue(parse('-l'), 'append')).toBeUndefined();
    expect(hasOption(parse('-l'), 'load')).toBe(true);
    expect(hasOption(parse('-l'), 'status')).toBe(false);
  });
  test.each([
    [['-x'], "invalid option -- 'x'"],
    [['-lx'], "invalid option -- 'x'"],
    [['--nothing'], "unrecognized option '--nothing'"],
    [['--lo'], "option '--lo' is ambiguous; possibilities: '--load', '--load-panic'"],
    [['--stat=1'], "option '--status' doesn't allow an argument"],
    [['--app'], "option '--append' requires an argument"],
    [['-li'], "option requires an argument -- 'i'"],
    [['--help'], "unrecognized option '--help'"],
  ])('%j', (argv, message) => {
    expect(() => parse(...argv)).toThrow(message);
  });
  test('every word is an option, its value or a positional', () => {
    const word = fc.oneof(
      fc.constantFrom('-l', '-p', '-lp', '-S', '--load', '--append=x', '--initrd=', '-iz'),
      fc.stringMatching(/^[a-z/]{1,8}$/),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (argv) => {
        const { options, positionals } = getopt(argv, specs);
        expect(positionals).toEqual(argv.filter((w) => !w.startsWith('-')));
        const expected =
          argv.filter((w) => w.startsWith('-')).length + argv.filter((w) => w === '-lp').length;
        expect(options.length).toBe(expected);
      }),
    );
  });
});
