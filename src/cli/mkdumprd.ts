import { existsSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type FinalAction, finalActions, isMountedTarget, targetName } from '../kdump/capture/config.ts';
import type { AssembledImage } from '../kdump/image/assemble.ts';
import { buildImage, planCaptureImage } from '../kdump/image/capture-image.ts';
import {
  type CaptureHandover,
  handoverOfRequest,
  readHandover,
  writeCaptureTree,
} from '../kdump/image/capture-tree.ts';
import type { CaptureRequest } from '../kdump/image/settings.ts';
import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import { getopt, hasOption, lastValue, type OptionSpec, type ParsedArguments } from '../lib/getopt.ts';
import { version } from '../lib/version.ts';

const usage = `Usage: mkdumprd [OPTION]... IMAGE [KERNEL_RELEASE]
       mkdumprd --into DIR [--mounted-at DIR] [OPTION]...

Builds the initramfs with which a crash kernel saves the dump. Without options, dumps go to the file system
that /var/crash is on, and the image suits this machine and its running kernel.

  --target DEVICE         where dumps are saved: /dev/..., UUID=... or LABEL=...
  --fstype TYPE           its file system (default: what is on it)
  --mount-options WORDS   its mount options, separated by commas
  --path DIR              directory for dumps on the target (default: /var/crash)
  --host NAME             first part of a dump directory's name (default: this machine's name)
  --core-collector WORDS  default: makedumpfile -l --message-level 7 -d 31; or: cp
  --final-action ACTION   reboot (default), poweroff or halt
  --no-report             save the dump without a report of what happened
  --add-drivers "A B"     modules that reach the target (default: the drivers of the local device)
  --modules-root DIR      root below which lib/modules/KERNEL_RELEASE lies (default: /)
  -f, --force             replace an existing image
      --if-missing        do nothing when the image is there
      --into DIR          build no image: add the capture to the tree of an initramfs that dracut builds, which brings
                          drivers and mounts the target; of the options above, --path to --no-report apply
      --mounted-at DIR    with --into: where that initramfs mounts the target (default: /sysroot)
      --handover FILE     with --into: everything about the capture, as kdumpctl writes it down; no other option applies
  -d, --debug             say what goes into the image
      --json              print what was built as JSON
  -h, --help              print this help
  -v, --version           print the version
`;

const options: readonly OptionSpec[] = [
  { name: 'target', takesValue: true },
  { name: 'fstype', takesValue: true },
  { name: 'mount-options', takesValue: true },
  { name: 'path', takesValue: true },
  { name: 'host', takesValue: true },
  { name: 'core-collector', takesValue: true },
  { name: 'final-action', takesValue: true },
  { name: 'no-report' },
  { name: 'add-drivers', takesValue: true },
  { name: 'modules-root', takesValue: true },
  { name: 'force', short: 'f' },
  { name: 'if-missing' },
  { name: 'into', takesValue: true },
  { name: 'mounted-at', takesValue: true },
  { name: 'handover', takesValue: true },
  { name: 'debug', short: 'd' },
  { name: 'json' },
  { name: 'help', short: 'h' },
  { name: 'version', short: 'v' },
];

/** What an initramfs settles by itself when the capture is added to it. */
const imageOnly = [
  'target',
  'fstype',
  'mount-options',
  'add-drivers',
  'modules-root',
  'force',
  'if-missing',
] as const;
/** What a handover says already. */
const inHandover = ['path', 'host', 'core-collector', 'final-action', 'no-report', 'mounted-at'] as const;
/** Where dracut mounts the root file system. */
const defaultMountPoint = '/sysroot';

function main(argv: readonly string[]): undefined {
  const parsed = getopt(argv, options);
  if (hasOption(parsed, 'help')) return print(usage);
  if (hasOption(parsed, 'version')) return print(`mkdumprd: kdump-tools version ${version}\n`);
  return hasOption(parsed, 'into') ? addToTree(parsed) : makeImage(parsed);
}

const wrongUsage = (message: string) => new KdumpError('usage', message, { fix: 'See mkdumprd --help.' });

/** What both kinds of building are told. */
function captureRequest(parsed: ParsedArguments): CaptureRequest {
  const finalAction = lastValue(parsed, 'final-action');
  if (finalAction !== undefined && !finalActions.includes(finalAction as FinalAction))
    throw new KdumpError('usage', `--final-action ${finalAction}: expected ${finalActions.join(', ')}`);
  return {
    path: lastValue(parsed, 'path'),
    host: lastValue(parsed, 'host') ?? hostname(),
    coreCollector: lastValue(parsed, 'core-collector'),
    finalAction: finalAction as FinalAction | undefined,
    report: !hasOption(parsed, 'no-report'),
    captureBundle: fileURLToPath(new URL('./capture.mjs', import.meta.url)),
    node: process.execPath,
  };
}

function addToTree(parsed: ParsedArguments): undefined {
  const into = lastValue(parsed, 'into')!;
  const unfit = imageOnly.find((name) => hasOption(parsed, name));
  if (unfit !== undefined) throw wrongUsage(`--${unfit} says how an image is built, but --into builds none`);
  if (parsed.positionals.length > 0)
    throw wrongUsage(`--into takes no image and no kernel, but ${parsed.positionals[0]} was given`);
  const { handover, request } = handoverOf(parsed);
  const tree = writeCaptureTree(into, handover, request);
  if (hasOption(parsed, 'json')) return print(`${JSON.stringify({ into, ...tree }, undefined, 2)}\n`);
  const [target] = tree.config.targets;
  print(
    `${into}: capture added, dumps go to ${target.path ?? tree.config.path} ${isMountedTarget(target) ? 'below' : 'on'} ${targetName(target)}\n`,
  );
  tellMissing(tree.missingLibraries);
  if (hasOption(parsed, 'debug'))
    for (const { path, bytes } of tree.files) print(`${mebibytes(bytes).padStart(8)} MiB  ${path}\n`);
}

function handoverOf(parsed: ParsedArguments): { handover: CaptureHandover; request: CaptureRequest } {
  const request = captureRequest(parsed);
  const file = lastValue(parsed, 'handover');
  if (file === undefined) {
    const mountPoint = lastValue(parsed, 'mounted-at') ?? defaultMountPoint;
    return { handover: handoverOfRequest(request, mountPoint), request };
  }
  const unfit = inHandover.find((name) => hasOption(parsed, name));
  if (unfit !== undefined) throw wrongUsage(`--handover says what --${unfit} would say`);
  return { handover: readHandover(file), request };
}

function makeImage(parsed: ParsedArguments): undefined {
  const [path, kernelRelease = release(), ...more] = parsed.positionals;
  if (path === undefined || more.length > 0)
    throw wrongUsage(path === undefined ? 'no IMAGE given' : `unexpected argument "${more[0]}"`);
  const stray = (['mounted-at', 'handover'] as const).find((name) => hasOption(parsed, name));
  if (stray !== undefined) throw wrongUsage(`--${stray} is of use only with --into`);
  if (hasOption(parsed, 'if-missing')) {
    if (hasOption(parsed, 'force')) throw wrongUsage('--if-missing keeps an image and -f replaces it');
    if (existsSync(path)) return print(`${path} is there already\n`);
  }
  const { plan, config } = planCaptureImage({
    ...captureRequest(parsed),
    kernelRelease,
    modulesRoot: lastValue(parsed, 'modules-root') ?? '/',
    target: lastValue(parsed, 'target'),
    fstype: lastValue(parsed, 'fstype'),
    mountOptions: lastValue(parsed, 'mount-options'),
    drivers: lastValue(parsed, 'add-drivers')
      ?.split(/[\s,]+/)
      .filter((word) => word !== ''),
  });
  const image = buildImage(path, plan, hasOption(parsed, 'force'));
  if (hasOption(parsed, 'json')) {
    const { pieces: _, ...described } = image;
    return print(`${JSON.stringify({ image: path, kernelRelease, config, ...described }, undefined, 2)}\n`);
  }
  print(
    `${path}: ${mebibytes(image.bytes)} MiB for kernel ${kernelRelease}, dumps go to ${config.path} on ${targetName(config.targets[0])}\n`,
  );
  tellMissing(image.missingLibraries);
  if (hasOption(parsed, 'debug')) print(describeImage(image));
}

function tellMissing(libraries: readonly string[]): void {
  for (const library of libraries)
    print(`${library} is not installed here, so the capture has to do without it\n`);
}

const largestShown = 20;

function describeImage(image: AssembledImage): string {
  return [
    `modules, in this order: ${image.modules.join(' ') || 'none'}`,
    `unpacked in memory: ${mebibytes(image.unpackedBytes)} MiB`,
    'largest files:',
    ...image.items
      .slice(0, largestShown)
      .map(({ path, bytes, storedIn }) => `${mebibytes(bytes).padStart(8)} MiB  ${path}  (${storedIn})`),
    '',
  ].join('\n');
}

const mebibytes = (bytes: number): string => (bytes / (1 << 20)).toFixed(1);
const print = (text: string): undefined => void process.stdout.write(text);

const argv = process.argv.slice(2);
try {
  main(argv);
} catch (error) {
  if (argv.includes('--json') && error instanceof KdumpError) print(`${JSON.stringify(error)}\n`);
  process.stderr.write(`mkdumprd: ${describeError(error)}\n`);
  process.exitCode = exitCodeOf(error);
}
