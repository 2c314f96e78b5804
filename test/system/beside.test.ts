import { closeSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startBeside } from '../../src/system/beside.ts';

const shell = (script: string, stdin: 'pipe' | 'none' = 'none', ...args: string[]) =>
  startBeside('sh', ['-c', script, 'sh', ...args], { stdin });

describe('a program beside us', () => {
  it('is fed while we work, and tells its status and what it said', () => {
    const counts = shell('wc -c; echo why >&2; exit 3', 'pipe');
    expect(counts.status()).toBeUndefined();
    writeSync(counts.stdin!, 'hello');
    closeSync(counts.stdin!);
    expect(counts.wait(30)).toBe(3);
    expect(counts.said()).toBe('5\nwhy\n');
    counts.close();
  });

  it('gets its arguments as they are, and our environment', () => {
    process.env.KDUMP_TEST = 'a  b';
    const echoes = shell('printf "%s|" "$@" "$KDUMP_TEST"', 'none', 'x y', "it's", '$(no)');
    delete process.env.KDUMP_TEST;
    expect(echoes.wait(30)).toBe(0);
    expect(echoes.said()).toBe("x y|it's|$(no)|a  b|");
    echoes.close();
  });

  it('is ended together with what it has started', () => {
    const hangs = shell('sleep 1000 & wait');
    expect(hangs.wait(0)).toBeUndefined();
    hangs.kill();
    expect(hangs.wait(30)).toBe(137);
    hangs.close();
  });

  it('does not ignore a broken pipe, as we do', () => {
    const writes = shell('kill -PIPE $$; echo survived');
    expect(writes.wait(30)).toBe(128 + 13);
    writes.close();
  });

  it('that is not there is an error at once', () => {
    expect(() => startBeside('no-such-program', [], { stdin: 'pipe' })).toThrow(
      /cannot be started: no such file/,
    );
  });
});
