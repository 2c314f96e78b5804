import { describe, expect, test } from 'vitest';
import { parseMakedumpfile } from '../../src/dump/options.ts';

const create = (...argv: string[]) => {
  const command = parseMakedumpfile(argv);
  if (command.mode !== 'create') throw new Error(command.mode);
  return command;
};

describe('a dump', () => {
  test('flags, values and files in any order', () => {
    const expected = {
      inputs: ['a'],
      target: { kind: 'file', path: 'b', overwrite: true },
      dumpLevels: [31],
      compression: 'lzo',
    };
    expect(create('-l', '-d', '31', '-f', 'a', 'b').request).toMatchObject(expected);
    expect(create('a', 'b', '-fld31').request).toMatchObject(expected);
  });

  test('the last compression wins', () => {
    expect(create('-c', '-z', '-l', 'a', 'b').request.compression).toBe('lzo');
    expect(create('-l', '-c', 'a', 'b').request.compression).toBe('zlib');
    expect(create('-lp', 'a', 'b').request.compression).toBe('snappy');
    expect(create('a', 'b').request.compression).toBe('none');
  });

  test('levels to try, a limit, threads, the size of cycles', () => {
    const { request } = create(
      ...[
        '-d',
        '1,31',
        '-L',
        '2M',
        '--num-threads',
        '3',
        '--cyclic-buffer',
        '64',
        '--non-mmap',
        '-e',
        'a',
        'b',
      ],
    );
    expect(request).toMatchObject({
      dumpLevels: [1, 31],
      limit: 2 * 2 ** 20,
      threads: 3,
      cycleBytes: 64 * 1024,
      mapped: false,
      excludeVmemmap: true,
    });
    // The original's way to say that the main thread works alone.
    expect(create('--num-threads', '0', 'a', 'b').request.threads).toBe(1);
  });

  test('outputs of every kind', () => {
    const target = (...argv: string[]) => create(...argv).request.target;
    expect(target('-F', 'a')).toEqual({ kind: 'stream' });
    expect(target('--split', '--splitblock-size', '256', 'a', 'b', 'c')).toEqual({
      kind: 'split',
      paths: ['b', 'c'],
      overwrite: false,
      block: 256 * 1024,
    });
    expect(target('--dry-run', 'a', 'b')).toEqual({ kind: 'nothing', paths: ['b'] });
    expect(create('-E', 'a', 'b').request.format).toBe('elf');
    expect(create('a', 'b', 'c').request).toMatchObject({ inputs: ['a', 'b'], target: { path: 'c' } });
  });

  test('threads go with everything', () => {
    for (const more of [['-E'], ['-F'], ['--split', 'b']])
      expect(create('--num-threads', '2', ...more, 'a', 'c').request.threads).toBe(2);
  });

  test('what the original takes and this one does not need is taken', () => {
    expect(create('--work-dir', '/tmp', '-b', '4', 'a', 'b').mode).toBe('create');
  });

  test('an address to translate', () => {
    expect(create('--vtop', '0xffffffff81000000', 'a', 'b').translate).toBe(0xffff_ffff_8100_0000n);
  });

  test('message levels', () => {
    expect(create('a', 'b').messageLevel).toBe(7);
    expect(create('--message-level', '31', 'a', 'b').messageLevel).toBe(31);
    expect(create('--message-level=1', '-D', '--show-stats', 'a', 'b').messageLevel).toBe(1 | 8 | 16);
    expect(create('--mess=0', 'a', 'b').messageLevel).toBe(0);
  });
});

describe('other modes', () => {
  const cases: [string, string[], object][] = [
    [
      'a log',
      ['--dump-dmesg', '-f', 'a', 'b'],
      { mode: 'dmesg', inputs: ['a'], output: { path: 'b', overwrite: true } },
    ],
    [
      'a log on standard output',
      ['-F', '--dump-dmesg', '--partial-dmesg', 'a'],
      { mode: 'dmesg', output: undefined, partial: true },
    ],
    ['a stream to a file', ['-R', 'a'], { mode: 'rearrange', output: { path: 'a', overwrite: false } }],
    [
      'a set to a file',
      ['--reassemble', 'a', 'b', 'c'],
      { mode: 'reassemble', inputs: ['a', 'b'], output: { path: 'c' } },
    ],
    ['a vmcoreinfo file', ['-g', 'a', '-x', 'b'], { mode: 'generate', vmlinux: 'b', output: { path: 'a' } }],
    [
      'memory usage',
      ['--mem-usage', '--json', '/proc/kcore'],
      { mode: 'mem-usage', input: '/proc/kcore', json: true },
    ],
    ['a check', ['--verify', 'a', 'b'], { mode: 'verify', inputs: ['a', 'b'] }],
    ['a rescue', ['--salvage', 'a', 'b'], { mode: 'salvage', inputs: ['a'], output: { path: 'b' } }],
    ['a question', ['--explain', '0x10', 'a'], { mode: 'explain', inputs: ['a'], pfn: 16, dumpLevel: 31 }],
    [
      'a question at a level',
      ['--explain', '16', '-d', '1', 'a'],
      { mode: 'explain', pfn: 16, dumpLevel: 1 },
    ],
  ];
  test.each(cases)('%s', (_, argv, expected) => {
    expect(parseMakedumpfile(argv)).toMatchObject(expected);
  });
});

describe('refused', () => {
  const refused: [string, string[], RegExp][] = [
    ['an unknown option', ['--bogus', 'a', 'b'], /unrecognized option '--bogus'/],
    ['an unknown letter', ['-q', 'a', 'b'], /invalid option -- 'q'/],
    ['a level that is no number', ['-d', 'x', 'a', 'b'], /option '-d': 'x' is not a number from 0 to 31/],
    ['a level above 31', ['-d', '1,32', 'a', 'b'], /option '-d': '32'/],
    ['a level that is missing', ['a', 'b', '-d'], /option requires an argument -- 'd'/],
    ['no files', ['-l'], /expected VMCORE and an output file/],
    ['one file', ['-l', 'a'], /expected an output file after 'a'/],
    ['a set of one', ['--split', 'a', 'b'], /two output files or more/],
    ['two outputs of a stream', ['-F', '--split', 'a', 'b', 'c'], /'-F' is one stream/],
    ['compressed ELF', ['-E', '-c', 'a', 'b'], /'-E' writes pages as they are/],
    ['a split ELF', ['-E', '--split', 'a', 'b', 'c'], /'-E' cannot be split/],
    ['two descriptions of a kernel', ['-i', 'x', '-x', 'y', 'a', 'b'], /'-i' and '-x'/],
    ['a compressed log', ['--dump-dmesg', '-c', 'a', 'b'], /--dump-dmesg cannot be combined with '-c'/],
    ['a part of no log', ['--partial-dmesg', 'a', 'b'], /'--partial-dmesg' is for '--dump-dmesg'/],
    ['-g without a kernel', ['-g', 'a'], /'-g' needs '-x VMLINUX'/],
    ['a filtered stream', ['-R', '-d', '31', 'a'], /'-R' cannot be combined with '-d'/],
    ['a page frame that is none', ['--explain', 'x', 'a'], /'x' is not a page frame number/],
    ['a size of nothing', ['-L', '0', 'a', 'b'], /-L/],
    ['Xen', ['--xen-syms', 'x', 'a', 'b'], /'--xen-syms' is not available: Xen/],
    ['sadump', ['--diskset=x', 'a'], /'--diskset' is not available: sadump/],
    ['EPPIC', ['--eppic', 'x', 'a', 'b'], /--config erases/],
    ['an ambiguous abbreviation', ['--dump', '--d', 'a', 'b'], /ambiguous/],
  ];
  test.each(refused)('%s', (_, argv, message) => {
    expect(() => parseMakedumpfile(argv)).toThrow(message);
  });
});
