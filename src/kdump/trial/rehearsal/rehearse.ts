import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parentDirectories, writeCpio } from '../../../formats/cpio.ts';
import { resolveModules } from '../../../formats/module-dep.ts';
import { KdumpError } from '../../../lib/errors.ts';
import { findProgram, run, runOrThrow } from '../../../system/processes.ts';
import { koffiAddon } from '../../../system/shared-objects.ts';
import { captureConfigPath, paths } from '../../capture/paths.ts';
import { assembleImage } from '../../image/assemble.ts';
import { openModuleTree, readModule, resolveFromTree } from '../../image/modules.ts';
import { guestApplets, guestInit, guestPaths, lookParameter, words } from './guest.ts';
import { readImageContent } from './image-content.ts';
import { planRehearsal, qemuArguments, type Rehearsal } from './plan.ts';
import { judge, type Verdict } from './verdict.ts';

export type RehearsalRequest = {
  /** Paths of what is, or would be, loaded. */
  readonly kernel: string;
  readonly kernelRelease: string;
  readonly image: string;
  readonly commandLine: string;
  readonly kexecArgs: readonly string[];
  readonly crashBytes: number;
  readonly modulesRoot: string;
  /** The bundle of src/cli/kexec.ts and the node that runs it, for the guest. */
  readonly kexecBundle: string;
  readonly node: string;
  readonly accelerator: 'tcg' | 'kvm';
  /** Bound on the crash and the capture, seconds. */
  readonly deadline: number;
  /** Bound on the guest's coming up once more, mounting a disk and showing a file. */
  readonly lookBound: number;
};

/** What a kernel is unwrapped with when it is loaded. */
const unwrappingLibraries = ['libzstd.so.1', 'liblzma.so.5', 'liblz4.so.1'];

/**
 * Rehearses a crash: a virtual machine with this kernel and so much reserved memory loads the very image that this
 * machine would use, and crashes; then it is asked what it finds on the disk. Nothing of this machine is touched but a
 * temporary directory, and the guest has no network.
 * @throws KdumpError `no-program` without QEMU, `not-our-image`, `no-crashkernel`, and what reading and building throw
 */
export function rehearse(request: RehearsalRequest): Verdict {
  if (process.arch !== 'x64')
    throw new KdumpError('rehearse-arch', `a rehearsal is possible on x86_64 only, this is ${process.arch}`);
  const qemu = findProgram('qemu-system-x86_64');
  if (qemu === undefined)
    throw new KdumpError('no-program', 'qemu-system-x86_64 is not installed', {
      fix: 'Install the package qemu-system-x86.',
    });
  const image = readFileSync(request.image);
  const tree = openModuleTree(request.modulesRoot, request.kernelRelease);
  const plan = planRehearsal({
    content: readImageContent(image, request.image),
    imageBytes: image.length,
    crashBytes: request.crashBytes,
    commandLine: request.commandLine,
    builtin: (module) => isBuiltin(tree, module),
  });

  const directory = mkdtempSync(join(tmpdir(), 'kdump-rehearsal-'));
  try {
    const scratch = join(directory, 'scratch');
    makeScratch(scratch, plan);
    const initrd = join(directory, 'initrd');
    writeFileSync(initrd, Buffer.concat(guestImage(plan, image, request, tree)), { mode: 0o600 });
    const boot = (name: string, append: string, seconds: number): { console: string; inTime: boolean } => {
      const console = join(directory, name);
      writeFileSync(console, '', { mode: 0o600 });
      const { accelerator, kernel } = request;
      const args = qemuArguments(plan, { accelerator, kernel, initrd, scratch, console, append });
      const inTime = ranInTime(qemu, args, seconds);
      return { console: readFileSync(console, 'latin1'), inTime };
    };
    const crash = boot('crash', '', request.deadline);
    // A guest that could not be armed has saved nothing.
    const look = crash.console.includes(words.failed) ? null : boot('look', lookParameter, request.lookBound);
    const inTime = crash.inTime && look?.inTime !== false;
    return judge(crash.console, look?.console ?? null, inTime, plan.notProven);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

type ModuleTree = ReturnType<typeof openModuleTree>;

function isBuiltin({ index }: ModuleTree, module: string): boolean {
  try {
    return resolveModules(index, [module]).length === 0;
  } catch {
    return false;
  }
}

/** A run that had to be ended is a result, not an error: what was said until then is worth a look. */
function ranInTime(qemu: string, args: readonly string[], timeout: number): boolean {
  try {
    runOrThrow(qemu, args, { timeout });
    return true;
  } catch (error) {
    if (error instanceof KdumpError && error.code === 'timed-out') return false;
    throw error;
  }
}

function makeScratch(path: string, { scratch }: Rehearsal): void {
  const fd = openSync(path, 'wx', 0o600);
  ftruncateSync(fd, scratch.bytes);
  closeSync(fd);
  const [program, ...options] = scratch.make;
  const { status, stderr } = run(findProgram(program) ?? program, [...options, path], { timeout: 120 });
  if (status !== 0) throw new KdumpError('program-failed', `${program}: ${stderr.trim()}`);
}

/** The guest's initramfs: what loads, and what is loaded. */
function guestImage(
  plan: Rehearsal,
  image: Uint8Array,
  { kernel, kernelRelease, modulesRoot, kexecArgs, kexecBundle, node }: RehearsalRequest,
  tree: ModuleTree,
): readonly Uint8Array[] {
  const { config, scratch, controller, captureCommandLine } = plan;
  const [target] = config.targets;
  const device = target.kind === 'filesystem' ? target.device : '';
  return assembleImage({
    init: guestInit(device, scratch.fstype, config.path, captureCommandLine, kexecArgs),
    applets: guestApplets,
    kernelRelease,
    modulesRoot,
    modules: [...controller.modules, scratch.fstype],
    files: [
      { path: guestPaths.kernel, mode: 0o600, source: kernel },
      { path: guestPaths.image, mode: 0o600, data: withOverride(plan, image, kernelRelease, tree) },
    ],
    nodeTree: {
      node,
      libraries: unwrappingLibraries,
      koffi: koffiAddon(),
      bundles: [kexecBundle],
    },
  }).pieces;
}

/** The image as it stands, and behind it an archive whose files take the place of those before. */
function withOverride(plan: Rehearsal, image: Uint8Array, release: string, tree: ModuleTree): Uint8Array {
  const modules = plan.addedModules.length === 0 ? [] : resolveFromTree(tree, release, plan.addedModules);
  const files = [
    { path: captureConfigPath.slice(1), mode: 0o600, data: Buffer.from(JSON.stringify(plan.config)) },
    ...modules.map((module, index) => ({
      // Behind those of the image, in the order in which they are inserted.
      path: `${paths.modules.slice(1)}/9${String(index).padStart(2, '0')}-${module.name}.ko`,
      mode: 0o644,
      data: readModule(tree, module),
    })),
  ];
  const directories = parentDirectories(files.map(({ path }) => path));
  const archive = writeCpio([
    ...directories.map((path) => ({ type: 'directory' as const, path, mode: 0o755 })),
    ...files.map((file) => ({ type: 'file' as const, ...file })),
  ]);
  const gap = Buffer.alloc((4 - (image.length % 4)) % 4);
  return Buffer.concat([image, gap, ...archive]);
}
