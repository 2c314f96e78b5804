import type { Argv } from 'yargs';
import { readSettings } from '../../kdump/config/settings.ts';
import { applyBootLoaderPlan } from '../../kdump/service/boot-loader/apply.ts';
import type { KernelWish } from '../../kdump/service/boot-loader/boot-entries.ts';
import { describeEdit } from '../../kdump/service/boot-loader/edits.ts';
import {
  type BootLoaderPlan,
  planCrashkernel,
  readBootLoader,
} from '../../kdump/service/boot-loader/plan.ts';
import { readMemorySize, reservedBy, tableCrashkernel } from '../../kdump/service/crashkernel.ts';
import { findKernel } from '../../kdump/service/kernel-file.ts';
import { KdumpError } from '../../lib/errors.ts';
import { findProgram } from '../../system/processes.ts';
import { printJson, say, warn } from './service.ts';
import type { VerbModule } from './verb.ts';

type Options = {
  readonly kernel?: string;
  readonly fadump?: string;
  readonly reboot: boolean;
  readonly dryRun: boolean;
  readonly root: string;
  readonly json: boolean;
};

export const command: VerbModule['command'] = {
  command: 'reset-crashkernel',
  describe: "write the default crashkernel= to the boot loader's settings",
  builder: (yargs: Argv) =>
    yargs
      .option('kernel', {
        type: 'string',
        describe: 'file of the kernel that is meant, or ALL; the one that kdump uses without',
      })
      .option('fadump', {
        type: 'string',
        choices: ['on', 'off', 'nocma'],
        describe: 'only off is supported',
      })
      .option('reboot', { type: 'boolean', default: false, hidden: true })
      .option('dry-run', {
        alias: 'n',
        type: 'boolean',
        default: false,
        describe: 'show what would be changed, and change nothing',
      })
      .option('root', { type: 'string', default: '/', describe: 'with --dry-run: the root of the files' })
      .option('json', { type: 'boolean', default: false, describe: 'print JSON' }),
  handler: (args) => reset(args as never),
};

function reset({ kernel, fadump, reboot, dryRun, root, json }: Options): undefined {
  if (fadump !== undefined && fadump !== 'off')
    throw new KdumpError('usage', `--fadump=${fadump}: firmware-assisted dump is not supported`);
  if (root !== '/' && !dryRun)
    throw new KdumpError('usage', '--root stands in for this machine only with --dry-run');
  if (reboot) warn('--reboot is no longer supported: reboot the machine yourself');
  const value = tableCrashkernel(root);
  const facts = readBootLoader(root, (program) => findProgram(program) !== undefined);
  const plan = planCrashkernel(value, wishOf(kernel, root), facts);
  if (!dryRun) applyBootLoaderPlan(plan);
  if (json) return printJson({ crashkernel: value, applied: !dryRun, ...plan });
  if (dryRun) show(plan);
  tellOutcome(value, plan, dryRun, root);
}

function wishOf(kernel: string | undefined, root: string): KernelWish {
  if (kernel === 'ALL') return 'ALL';
  if (kernel !== undefined && kernel !== 'DEFAULT') return { path: kernel };
  return { path: findKernel(readSettings(root).settings.kernel, root).path };
}

function show({ edits, commands }: BootLoaderPlan): void {
  for (const edit of edits) process.stdout.write(describeEdit(edit));
  for (const command of commands) process.stdout.write(`# ${command.join(' ')}\n`);
}

function tellOutcome(value: string, plan: BootLoaderPlan, dryRun: boolean, root: string): undefined {
  const unchanged = plan.edits.length === 0 && plan.by === 'boot entries';
  if (unchanged) return say(`crashkernel=${value} is set already, or no boot entry is for this kernel`);
  if (plan.affectsAll) warn(`${plan.by} sets the parameters of all kernels`);
  if (!dryRun) say(`Updated crashkernel=${value}. Please reboot the system for the change to take effect.`);
  const memory = readMemorySize(root);
  if (memory !== null && reservedBy(value, memory) === 0)
    warn(
      `No memory will be reserved: ${Math.round(memory / 2 ** 20)} MiB of memory are less than the smallest size in ${value}`,
    );
}
