import { KdumpError } from '../lib/errors.ts';
import { splitWords } from './command-line.ts';
import type { KernelImage } from './image/kernel-image.ts';
import { isLockedDown, type MachineFacts } from './machine.ts';
import type { LoadRequest } from './request.ts';
import { exitCodes } from './uapi.ts';

/** What speaks against a load, whichever system call makes it. */

/** @throws KdumpError `unsupported-arch` */
export function checkArchitecture({ arch }: MachineFacts): void {
  if (arch !== 'x86_64')
    throw new KdumpError('unsupported-arch', `this machine is ${arch}; only x86_64 kernels can be loaded`, {
      facts: { arch },
    });
}

/** @throws KdumpError `five-level-paging` or `no-hotplug` */
export function checkFitsMachine(request: LoadRequest, kernel: KernelImage, machine: MachineFacts): void {
  if (machine.fiveLevelPaging === true && kernel.bzImage?.five_level === false)
    throw new KdumpError(
      'five-level-paging',
      `${kernel.path}: this machine runs with 5-level page tables, which this kernel cannot be entered with`,
      {
        fix: 'Boot this machine with no5lvl, or use a kernel built with CONFIG_X86_5LEVEL.',
        exitCode: exitCodes.failed,
      },
    );
  if (request.placing.hotplug && machine.crash.elfcorehdrSize === null)
    throw new KdumpError(
      'no-hotplug',
      '--hotplug: this kernel does not update a crash image by itself: it has no /sys/kernel/crash_elfcorehdr_size',
      { fix: 'Leave out --hotplug and load the crash kernel again after each change (a udev rule can).' },
    );
}

/** @throws KdumpError `command-line-too-long` */
export function checkCommandLine(kernel: KernelImage, bytes: number, limit: number | null): void {
  if (limit === null || bytes <= limit) return;
  throw new KdumpError(
    'command-line-too-long',
    `the command line has ${bytes} bytes; ${kernel.path} takes ${limit}`,
    {
      fix: 'Shorten --append, or do not use --reuse-cmdline.',
      facts: { bytes, limit, cmdline_size: kernel.bzImage?.cmdline_size },
      exitCode: exitCodes.failed,
    },
  );
}

/** The error when there is no memory for a crash kernel, with what the command line asked for. */
export function noCrashkernel({ commandLine, crash }: MachineFacts): KdumpError {
  const asked = splitWords(commandLine ?? '').find((word) => word.startsWith('crashkernel='));
  const why =
    asked !== undefined
      ? `, although the kernel command line has ${asked}`
      : commandLine === null
        ? ''
        : ': crashkernel= is not on the kernel command line';
  return new KdumpError('no-crashkernel', `Memory for crashkernel is not reserved${why}`, {
    fix:
      asked === undefined
        ? 'Add crashkernel=, for example crashkernel=256M, to the kernel command line and reboot.'
        : 'The kernel could not reserve that much, or this machine is below the sizes given: see `dmesg | grep -i crash`.',
    facts: { crashkernel: asked ?? null, crashSize: crash.size },
  });
}

/** What the kernel will probably say about the signature, before it is asked. */
export function signatureWarnings(kernel: KernelImage, machine: MachineFacts): string[] {
  if (!isLockedDown(machine) || kernel.bzImage?.signed !== false) return [];
  return [
    `the kernel is locked down (${machine.permission.lockdown}) and ${kernel.path} carries no signature${
      kernel.wrapping.length > 0 ? ` inside its wrapping (${kernel.wrapping.join(', ')})` : ''
    }: loading will be refused, unless IMA vouches for the file`,
  ];
}

/** kexec-tools' names of file types (-t) that we take, and what is one. */
const fileTypes: Readonly<Record<string, (kernel: KernelImage) => boolean>> = {
  bzImage: (kernel) => typeOf(kernel) === 'bzImage64',
  bzImage64: (kernel) => typeOf(kernel) === 'bzImage64',
  'elf-x86_64': (kernel) => typeOf(kernel) === 'elf-x86_64',
  uki: (kernel) => typeOf(kernel) === 'uki',
};

const typeOf = ({ wrapping, kind }: KernelImage): string =>
  wrapping.includes('uki') ? 'uki' : kind === 'bzImage' ? 'bzImage64' : 'elf-x86_64';

/** @throws KdumpError `unsupported-type` for a type that is none of ours. */
export function checkTypeName(type: string): void {
  if (Object.hasOwn(fileTypes, type)) return;
  throw new KdumpError('unsupported-type', `--type: file type ${type} is not supported`, {
    fix: `Leave it out, or give one of ${Object.keys(fileTypes).join(', ')}.`,
    facts: { type },
    exitCode: exitCodes.failed,
  });
}

/** @throws KdumpError `wrong-type` when the file is not what -t says, by a name that checkTypeName takes. */
export function checkType(type: string, kernel: KernelImage): void {
  if (fileTypes[type]?.(kernel)) return;
  throw new KdumpError('wrong-type', `wrong file type ${type}, ${kernel.path} is ${typeOf(kernel)}`, {
    fix: 'Leave out --type: the file is recognised.',
    facts: { type, found: typeOf(kernel) },
    exitCode: exitCodes.failed,
  });
}
