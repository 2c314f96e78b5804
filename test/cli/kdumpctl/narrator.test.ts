import { expect, test } from 'vitest';
import { type Channels, narrator } from '../../../src/cli/kdumpctl/narrator.ts';

test.each([
  [0, []],
  [1, ['error']],
  [2, ['error', 'warning']],
  [3, ['error', 'warning', 'info']],
  [4, ['error', 'warning', 'info']],
])('level %i of a channel lets through %j', (level, heard) => {
  for (const name of ['std', 'syslog', 'kmsg'] as const) {
    const said: string[] = [];
    const channel = (of: string) => (priority: string, text: string) =>
      void said.push(`${of} ${priority} ${text}`);
    const channels: Channels = { std: channel('std'), syslog: channel('syslog'), kmsg: channel('kmsg') };
    const tell = narrator({ std: 0, syslog: 0, kmsg: 0, [name]: level }, channels);
    tell.error('x');
    tell.warning('x');
    tell.info('x');
    expect(said).toEqual(heard.map((priority) => `${name} ${priority} x`));
  }
});
