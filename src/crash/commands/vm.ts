import { known } from '../../kernel/core.ts';
import { pathOfFile } from '../../kernel/file-path.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import type { KernelObject } from '../../kernel/object.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { vmAreas } from '../../kernel/vm-areas.ts';
import { hasOption } from '../../lib/getopt.ts';
import { parseFlags, tasksNamed } from '../arguments.ts';
import type { Command } from '../command.ts';
import { styleOf } from '../format/style.ts';
import type { Session } from '../session.ts';
import { taskHeader } from '../tasks.ts';
import { hex, missingText, shown } from '../text.ts';
import { valueLines } from './struct.ts';

export const vm: Command = {
  name: 'vm',
  usage: '[-m | -v] [pid|task ...]',
  summary: 'the memory of a process, area by area',
  help: '  -m   its mm_struct; -x in hexadecimal\n  -v   each of its vm_area_structs',
  *run(session, args) {
    const parsed = parseFlags(args, 'mvx');
    const words = parsed.positionals;
    const tasks = words.length === 0 ? [session.task] : words.flatMap((word) => tasksNamed(session, word));
    const radix = hasOption(parsed, 'x') ? 16 : session.settings.radix;
    for (const task of tasks) {
      yield taskHeader(task);
      const what = hasOption(parsed, 'm') ? 'mm' : hasOption(parsed, 'v') ? 'areas' : 'table';
      yield* memoryLines(session, task, what, radix);
      if (words.length > 0) yield '';
    }
  },
};

function* memoryLines(
  session: Session,
  task: KernelTask,
  what: 'mm' | 'areas' | 'table',
  radix: 10 | 16,
): Generator<string> {
  const { kernel } = session;
  const address = task.mm;
  const pages = task.memory();
  if (isMissing(address) || address === 0n) {
    if (isMissing(address)) yield `vm: ${missingText(address)}`;
    else
      yield* [
        '       MM               PGD          RSS    TOTAL_VM',
        `${'0'.padEnd(17)} ${'0'.padEnd(16)} 0k       0k`,
      ];
    return;
  }
  const mm = kernel.object('mm_struct', address);
  if (what === 'mm') {
    yield* valueLines(styleOf(session, radix), { type: mm.type, members: [] }, address);
    return;
  }
  const { areas, whole } = vmAreas(kernel, mm);
  if (what === 'table') {
    const size = (count: number): string => `${count * 4}k`;
    const resident =
      pages === undefined || isMissing(pages) ? '?' : size(pages.file + pages.anonymous + pages.shared);
    const total = pages === undefined || isMissing(pages) ? '?' : size(pages.total);
    yield '       MM               PGD          RSS    TOTAL_VM';
    yield `${hex(address)}  ${shown(mm.member('pgd').integer(), hex)}  ${resident.padEnd(6)} ${total.padStart(7)}`.trimEnd();
    yield areaHeader;
  }
  for (const area of areas) {
    if (what === 'areas') {
      yield* valueLines(styleOf(session, radix), { type: area.type, members: [] }, area.address);
      yield '';
      continue;
    }
    yield areaLine(kernel, area);
  }
  if (!whole) yield 'vm: some of the areas cannot be reached in the dump';
}

const areaHeader = '      VMA           START       END     FLAGS FILE';

function areaLine(kernel: Kernel, area: KernelObject): string {
  const at = (member: string): string =>
    shown(area.member(member).integer(), (value) => value.toString(16)).padStart(10);
  const flags = shown(area.member('vm_flags').integer(), (value) => value.toString(16));
  const file = known(area.member('vm_file').deref());
  return `${hex(area.address)} ${at('vm_start')} ${at('vm_end')} ${flags} ${(file && pathOfFile(kernel, file)) ?? ''}`;
}

/** The area that an address of the context's process lies in; nothing when it is in none. */
export function* areaOfAddress({ kernel, task }: Session, address: bigint): Generator<string> {
  const mm = task.mm;
  if (isMissing(mm) || mm === 0n) return;
  const found = vmAreas(kernel, kernel.object('mm_struct', mm)).areas.find((area) => {
    const [start, end] = ['vm_start', 'vm_end'].map((member) => known(area.member(member).integer()));
    return start !== undefined && end !== undefined && address >= start && address < end;
  });
  if (found !== undefined) yield* [areaHeader, areaLine(kernel, found), ''];
}
