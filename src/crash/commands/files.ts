import { known } from '../../kernel/core.ts';
import { pathOf, pathOfFile } from '../../kernel/file-path.ts';
import { isMissing } from '../../kernel/memory.ts';
import type { KernelObject } from '../../kernel/object.ts';
import { inodeType, openFiles } from '../../kernel/open-files.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { addressOf, parseFlags, tasksNamed } from '../arguments.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';
import { taskHeader } from '../tasks.ts';
import { hex, missingText, shown } from '../text.ts';

export const files: Command = {
  name: 'files',
  usage: '[-d dentry] | [-c] [pid|task ...]',
  summary: 'open files of a process; what a dentry is',
  help: '  -d DENTRY  inode, file system, type and path of a dentry\n  -c         pages of each file that are cached',
  *run(session, args) {
    const parsed = parseFlags(args, 'd:c');
    const dentry = lastValue(parsed, 'd');
    if (dentry !== undefined) {
      yield* dentryLines(session, addressOf(session, dentry));
      return;
    }
    const words = parsed.positionals;
    const tasks = words.length === 0 ? [session.task] : words.flatMap((word) => tasksNamed(session, word));
    for (const task of tasks) {
      yield* fileLines(session, task, hasOption(parsed, 'c'));
      if (words.length > 0) yield '';
    }
  },
};

function* dentryLines({ kernel }: Session, address: bigint): Generator<string> {
  const dentry = kernel.object('dentry', address);
  const inode = known(dentry.member('d_inode').deref());
  yield '     DENTRY           INODE           SUPERBLK     TYPE PATH';
  yield [
    hex(address),
    shown(dentry.member('d_inode').integer(), hex),
    shown(dentry.member('d_sb').integer(), hex),
    inodeType(inode).padEnd(4),
    pathOf(kernel, dentry) ?? '(unknown)',
  ].join(' ');
}

function* fileLines(session: Session, task: KernelTask, cached: boolean): Generator<string> {
  const { kernel } = session;
  yield taskHeader(task);
  const fs = known(task.object.member('fs').deref());
  if (fs !== undefined) yield `ROOT: ${pathIn(session, fs, 'root')}    CWD: ${pathIn(session, fs, 'pwd')}`;
  const open = openFiles(kernel, task);
  if (open === undefined || isMissing(open) || open.length === 0) {
    yield open !== undefined && isMissing(open) ? `files: ${missingText(open)}` : 'No open files';
    return;
  }
  yield cached
    ? ' FD       INODE            I_MAPPING        NRPAGES TYPE PATH'
    : ' FD       FILE            DENTRY           INODE       TYPE PATH';
  for (const { descriptor, file } of open) {
    const dentry = file.member('f_path.dentry');
    const inside = known(dentry.deref());
    const pointer = inside?.member('d_inode');
    const inode = known(pointer?.deref());
    const columns = cached
      ? [
          shown(pointer?.integer() ?? 0n, hex),
          inode === undefined ? '' : shown(inode.member('i_mapping').integer(), hex),
          (inode === undefined ? '' : shown(inode.member('i_data.nrpages').integer())).padStart(9),
        ]
      : [
          hex(file.address),
          shown(dentry.integer(), hex),
          pointer === undefined ? '?'.padEnd(16) : shown(pointer.integer(), hex),
        ];
    const number = String(descriptor).padStart(3);
    yield `${number} ${columns.join(' ')} ${inodeType(inode).padEnd(4)} ${filePath(session, file, inode)}`;
  }
}

/** crash leaves out what is no path. */
function filePath({ kernel }: Session, file: KernelObject, inode: KernelObject | undefined): string {
  const path = pathOfFile(kernel, file);
  return path ?? (inode === undefined ? '(not in the dump)' : '');
}

function pathIn({ kernel }: Session, fs: KernelObject, which: 'root' | 'pwd'): string {
  const dentry = fs.member(`${which}.dentry`).deref();
  const mount = known(fs.member(`${which}.mnt`).integer());
  return isMissing(dentry) ? missingText(dentry) : (pathOf(kernel, dentry, mount) ?? '(unknown)');
}
