import { appendParameters, withoutParameters } from '../../../kexec/command-line.ts';
import { KdumpError } from '../../../lib/errors.ts';
import type { CaptureConfig, CaptureTarget, FileSystemTarget } from '../../capture/config.ts';
import { targetName } from '../../capture/config.ts';
import { type Controller, controllerFor, controllers } from './controllers.ts';
import type { ImageContent } from './image-content.ts';

const MIB = 2 ** 20;
/** For the guest's own kernel, its initramfs with node and the image in it, and what the load needs meanwhile. */
const besideCrashKernel = 640 * MIB;
const scratchBytes = 4096 * MIB;
const standInLabel = 'rehearsal';

/** Parameters that mean this machine's CPUs, or a test that it made. */
const ofThisMachine = ['disable_cpu_apicid', 'kdump_test_id'];

export type RehearsalFacts = {
  readonly content: ImageContent;
  readonly imageBytes: number;
  /** What is reserved for the crash kernel. */
  readonly crashBytes: number;
  /** The capture kernel's. */
  readonly commandLine: string;
  /** Whether the kernel has the driver without a module. */
  readonly builtin: (module: string) => boolean;
};

export type Rehearsal = {
  /** What the capture is told in place of the image's own settings: everything of them but where to save, and whom to tell. */
  readonly config: CaptureConfig;
  readonly controller: Controller;
  /** Modules to add to the image, since nothing in it drives a disk that QEMU has. */
  readonly addedModules: readonly string[];
  /** The disk that stands for the target. */
  readonly scratch: {
    readonly bytes: number;
    readonly fstype: string;
    /** The program that makes the file system, with its options; the file is added. */
    readonly make: readonly [string, ...string[]];
  };
  /** The capture kernel's command line, with a console to follow it on. */
  readonly captureCommandLine: string;
  readonly guestCommandLine: string;
  /** MiB */
  readonly guestMemory: number;
  /** What the rehearsal does not prove. */
  readonly notProven: readonly string[];
};

/** Settles a rehearsal: a guest with the reserved size, in which the very image is loaded and the kernel then crashes. */
export function planRehearsal({
  content,
  imageBytes,
  crashBytes,
  commandLine,
  builtin,
}: RehearsalFacts): Rehearsal {
  const { config, modules } = content;
  if (crashBytes < MIB)
    throw new KdumpError('no-crashkernel', 'no memory is reserved for a crash kernel', {
      fix: 'Set crashkernel= and restart the machine, or name a size with --memory.',
    });
  const local = config.targets.find((target) => target.kind === 'filesystem');
  const found = controllerFor(modules, builtin);
  const fits = local !== undefined && found !== undefined;
  const controller = found ?? controllers[0];
  const fstype = local?.fstype ?? 'ext4';
  const scratch = scratchFor(fits ? local : undefined, fstype);
  const crash = Math.floor(crashBytes / MIB);
  return {
    config: {
      ...config,
      targets: [scratch.target],
      coreCollector: collectorForFile(config.coreCollector),
      // Nobody sits at the guest's console, and it has no root file system.
      failureAction: 'reboot',
      finalAction: 'reboot',
      retention: { count: null, bytes: null, freePercent: null, ageSeconds: null },
      minFree: null,
      rootfs: null,
      home: null,
      notifications: [],
      network: null,
      ssh: null,
      fence: null,
    },
    controller,
    addedModules: [
      ...(found === undefined ? controller.modules : []),
      // The image of a target elsewhere has no file system of its own.
      ...(local === undefined ? [fstype] : []),
    ],
    scratch: { bytes: scratchBytes, fstype, make: scratch.make },
    captureCommandLine: appendParameters(withoutParameters(commandLine, ofThisMachine), 'console=ttyS0'),
    guestCommandLine: `console=ttyS0 quiet panic=-1 rootfstype=ramfs crashkernel=${crash}M`,
    guestMemory: Math.ceil((besideCrashKernel + 2 * imageBytes) / MIB) + crash,
    notProven: [
      ...config.targets
        .filter((target) => target !== local)
        .map((target) => `${targetName(target)} was not reached`),
      ...(local !== undefined && found === undefined
        ? [
            `the driver of ${targetName(local)}, for which QEMU has no device: a ${controller.name} stood for it`,
          ]
        : []),
    ],
  };
}

type MakeFileSystem = readonly [string, ...string[]];

/** The file system on the scratch disk, and the target that finds it there: by the name of the real one, where it has one. */
function scratchFor(
  local: FileSystemTarget | undefined,
  fstype: string,
): { target: CaptureTarget; make: MakeFileSystem } {
  const isNamed = /^(UUID|LABEL)=./.test(local?.device ?? '');
  const device = isNamed ? local!.device : `LABEL=${standInLabel}`;
  const name = device.slice(device.indexOf('=') + 1);
  const isUuid = device.startsWith('UUID=');
  return {
    target: { kind: 'filesystem', device, fstype, mountOptions: local?.mountOptions ?? '' },
    make: makeFileSystem(fstype, isUuid, name),
  };
}

function makeFileSystem(fstype: string, isUuid: boolean, name: string): MakeFileSystem {
  switch (fstype) {
    case 'xfs':
      return ['mkfs.xfs', '-q', ...(isUuid ? ['-m', `uuid=${name}`] : ['-L', name])];
    case 'btrfs':
      return ['mkfs.btrfs', '-q', ...(isUuid ? ['-U', name] : ['-L', name])];
    case 'ext2':
    case 'ext3':
    case 'ext4':
      return [`mkfs.${fstype}`, '-q', '-F', ...(isUuid ? ['-U', name] : ['-L', name])];
    default:
      throw new KdumpError('rehearse-fstype', `no ${fstype} can be made for a rehearsal`, {
        fix: 'Try it by kdumpctl test.',
        facts: { fstype },
      });
  }
}

/** The same collector, where the target is a file. */
const collectorForFile = (words: readonly string[]): string[] =>
  words[0] === 'scp' ? ['cp'] : words.filter((word) => word !== '-F');

/** Arguments of QEMU for one run of the guest, without a network. */
export function qemuArguments(
  { controller, guestMemory, guestCommandLine }: Rehearsal,
  run: {
    readonly accelerator: 'tcg' | 'kvm';
    readonly kernel: string;
    readonly initrd: string;
    readonly scratch: string;
    readonly console: string;
    /** More of the guest's command line. */
    readonly append: string;
  },
): string[] {
  return [
    ...['-accel', run.accelerator, '-cpu', run.accelerator === 'kvm' ? 'host' : 'max', '-smp', '1'],
    ...[
      '-m',
      String(guestMemory),
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-no-reboot',
      '-nic',
      'none',
    ],
    ...['-kernel', run.kernel, '-initrd', run.initrd, '-append', `${guestCommandLine} ${run.append}`],
    ...['-serial', `file:${run.console}`],
    ...['-drive', `file=${run.scratch},format=raw,if=none,id=scratch,cache=unsafe`],
    ...controller.devices.flatMap((device) => ['-device', device]),
  ];
}
