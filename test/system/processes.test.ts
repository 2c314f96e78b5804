import { describe, expect, it } from 'vitest';
import { findProgram, run, runOrThrow } from '../../src/system/processes.ts';

describe('findProgram', () => {
  it('looks beyond PATH in the directories of system programs', () => {
    expect(findProgram('sh', '')).toMatch(/^\/.*\/sh$/);
    expect(findProgram('no-such-program-here')).toBeUndefined();
  });
});

describe('run', () => {
  it('passes input and gives back output and status', () => {
    const result = run('/bin/sh', ['-c', 'cat; echo said >&2; exit 3'], { input: Buffer.from('given') });
    expect([result.status, result.stdout.toString(), result.stderr]).toEqual([3, 'given', 'said\n']);
  });

  it('takes no offence at a program that does not read its input', () => {
    expect(run('/bin/sh', ['-c', 'exit 0'], { input: Buffer.alloc(1 << 20) }).status).toBe(0);
  });

  it('says what is not installed, what does not end and what was killed', () => {
    expect(() => run('no-such-program-here', [])).toThrow(expect.objectContaining({ code: 'no-program' }));
    expect(() => run('/bin/sh', ['-c', 'exec sleep 60'], { timeout: 0.05 })).toThrow(
      expect.objectContaining({ code: 'timed-out' }),
    );
    expect(() => run('/bin/sh', ['-c', 'kill -9 $$'])).toThrow(expect.objectContaining({ code: 'killed' }));
  });
});

it('runOrThrow gives the end of what the program said', () => {
  expect(() => runOrThrow('/bin/sh', ['-c', 'echo one; echo why >&2; exit 2'])).toThrow(
    /ended with status 2: why$/,
  );
});
