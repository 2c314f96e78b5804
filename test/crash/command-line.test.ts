import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCommandLine, splitCommands } from '../../src/crash/command-line.ts';

const terminal = { kind: 'terminal' };

describe('a line of the shell', () => {
  test('words by spaces, what stands in quotes as one', () => {
    expect(parseCommandLine('  bt   -f 1 ')).toEqual({ words: ['bt', '-f', '1'], output: terminal });
    expect(parseCommandLine('p "a b"c').words).toEqual(['p', 'a bc']);
    expect(parseCommandLine("ps 'kworker/u.* x'").words).toEqual(['ps', "'kworker/u.* x'"]);
    expect(parseCommandLine('').words).toEqual([]);
    expect(parseCommandLine('# a comment').words).toEqual([]);
    expect(parseCommandLine('p a#b').words).toEqual(['p', 'a#b']);
  });

  test('pipes and files, but not in quotes and parentheses', () => {
    expect(parseCommandLine('log | grep "a|b" | head')).toEqual({
      words: ['log'],
      output: { kind: 'pipe', shell: 'grep "a|b" | head' },
    });
    expect(parseCommandLine('bt -a>out').output).toEqual({ kind: 'file', path: 'out', append: false });
    expect(parseCommandLine("bt >> 'a file'".replace(' file', '_file')).output).toEqual({
      kind: 'file',
      path: 'a_file',
      append: true,
    });
    expect(parseCommandLine('eval (1 | 2)').words).toEqual(['eval', '(1 | 2)']);
    expect(parseCommandLine("ps 'a|b'")).toEqual({ words: ['ps', "'a|b'"], output: terminal });
  });

  test.each([
    ['p "x', 'without its other half'],
    ['log |', 'nothing behind the |'],
    ['log >', 'the name of one file'],
    ['log > a b', 'the name of one file'],
  ])('%s is refused', (line, message) => {
    expect(() => parseCommandLine(line)).toThrow(message);
  });

  test('words come back as they were put together', () => {
    const word = fc.string({ minLength: 1, unit: fc.constantFrom(...'abcXYZ019_-.+*/&') });
    fc.assert(
      fc.property(fc.array(word), (words) => {
        expect(parseCommandLine(words.join(' ')).words).toEqual(words);
      }),
    );
  });
});

test('commands of -c: semicolons and newlines between them, not in quotes', () => {
  expect(splitCommands('bt -a; log | grep "a;b";\n set ;;')).toEqual(['bt -a', 'log | grep "a;b"', 'set']);
  expect(splitCommands(' ')).toEqual([]);
});
