import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { bashCompletion } from '../../../src/cli/kdumpctl/completion.ts';
import { verbs } from '../../../src/cli/kdumpctl/verbs.ts';

const file = fileURLToPath(new URL('../../../completions/kdumpctl', import.meta.url));

it('completions/kdumpctl is what the tables say; if not: node scripts/completions.mjs', () => {
  expect(readFileSync(file, 'utf8')).toBe(bashCompletion());
});

/** What bash offers when TAB is pressed behind these words. */
function offered(...words: string[]): string[] {
  const script = `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kdumpctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', file, 'kdumpctl', ...words], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

it('offers verbs, and what follows them', () => {
  expect(offered('')).toEqual([...Object.keys(verbs), '--help', '--version']);
  expect(offered('conf')).toEqual(['config']);
  expect(offered('config', 's')).toEqual(['show', 'set', 'schema']);
  expect(offered('config', '--')).toEqual(['--help']);
  expect(offered('nonsense', '')).toEqual([]);
});

it('offers directives and their values', () => {
  expect(offered('config', 'get', 'failure')).toEqual(['failure_action']);
  expect(offered('config', 'set', 'final_action', '')).toEqual(['reboot', 'halt', 'poweroff']);
  expect(offered('config', 'set', 'path', '')).toEqual([]);
  expect(offered('config', 'get', 'path', '')).toEqual([]);
});
