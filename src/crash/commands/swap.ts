import { pathOfFile } from '../../kernel/file-path.ts';
import { swapAreas } from '../../kernel/swap.ts';
import type { Command } from '../command.ts';
import { hex } from '../text.ts';

const kilobytes = (pages: number): string => `${pages * 4}k`;

export const swap: Command = {
  name: 'swap',
  usage: '',
  summary: 'swap files and partitions',
  help: 'Each with its size, and what is used of it.',
  *run({ kernel }) {
    const areas = swapAreas(kernel);
    if (areas.length === 0) yield 'no swap is on';
    else yield 'SWAP_INFO_STRUCT    TYPE       SIZE       USED     PCT  PRI  FILENAME';
    for (const { object, pages, used, priority, file } of areas) {
      const type = object.member('flags').integer();
      const isBlock = typeof type === 'bigint' && (type & 0x40n) !== 0n;
      const share = `${pages === 0 ? 0 : Math.floor((used * 100) / pages)}%`;
      const columns = [
        hex(object.address),
        (isBlock ? 'PARTITION' : 'FILE').padStart(7),
        kilobytes(pages).padStart(11),
        kilobytes(used).padStart(10),
        share.padStart(6),
        String(priority).padStart(4),
      ];
      yield `${columns.join(' ')}  ${(file && pathOfFile(kernel, file)) ?? '(unknown)'}`;
    }
  },
};
