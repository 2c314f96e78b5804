import { type Applied, applyPlan } from '../../kexec/apply.ts';
import { armCrashKernel, disarm } from '../../kexec/arm.ts';
import { execute, jumpNow, rebootIntoLoaded } from '../../kexec/exec.ts';
import { lastGoodDirectory } from '../../kexec/last-good.ts';
import { readLoadFacts } from '../../kexec/load-facts.ts';
import { crashMemory, describeLoaded, readMachine } from '../../kexec/machine.ts';
import { permissionErrors } from '../../kexec/permission.ts';
import { type Plan, planJumpBack, planLoad, planUnload } from '../../kexec/plan.ts';
import { checkType, checkTypeName } from '../../kexec/plan-checks.ts';
import { planToJson } from '../../kexec/plan-json.ts';
import { listInterfacesUp } from '../../system/network-interfaces.ts';
import { isSystemdRunning } from '../../system/service-manager.ts';
import type { CommandOf, KexecCommand, Manner } from './command.ts';
import { describePlan } from './describe.ts';

/** Everything that needs more than a glance at /sys. */
export function work(command: KexecCommand): number {
  const { manner } = command;
  switch (command.action) {
    case 'print-ckr-size':
      process.stdout.write(`${crashMemory(readMachine(manner.root))?.size ?? 0}\n`);
      return 0;
    case 'load':
      return load(command);
    case 'unload': {
      const plan = planUnload(command.type, readMachine(manner.root));
      return carryOut(plan, manner, () => {
        if (plan.type === 'normal') return applyPlan(plan, null);
        const { applied, warnings } = disarm(plan, manner.keepIn ?? lastGoodDirectory);
        warn(warnings, manner);
        return applied;
      });
    }
    case 'load-jump-back': {
      const plan = planJumpBack(command.entry, readMachine(manner.root));
      return carryOut(plan, manner, () => applyPlan(plan, null));
    }
    case 'exec':
      return exec(command);
    default:
      throw new Error(`${command.action} is no work`);
  }
}

function load({ kernel, initrd, fileType, wish, afterwards, jump, manner }: CommandOf<'load'>): number {
  if (fileType !== null) checkTypeName(fileType);
  const facts = readLoadFacts(manner.root, kernel, initrd, wish.request, manner.dryRun ? 'zeros' : 'random');
  if (fileType !== null) checkType(fileType, facts.kernel);
  const plan = planLoad(wish, facts);
  warn(plan.warnings, manner);
  const apply = (): Applied => {
    if (plan.type === 'normal') return applyPlan(plan, facts);
    const directory = manner.keepIn ?? lastGoodDirectory;
    const readFacts = readLoadFacts.bind(null, manner.root);
    const { applied, warnings } = armCrashKernel(plan, wish, facts, { directory, readFacts });
    warn(warnings, manner);
    return applied;
  };
  const status = carryOut(plan, manner, apply, { afterwards });
  if (manner.dryRun) return status;
  if (afterwards === 'reboot') rebootIntoLoaded();
  if (afterwards === 'jump') jumpNow(jump);
  return 0;
}

/** Prints the plan, with what else is to be seen of it, or applies it. */
function carryOut(plan: Plan, manner: Manner, apply: () => Applied, more: object = {}): number {
  if (manner.dryRun) {
    print({ ...planToJson(plan), ...more });
    // The plan is there to be read; whether it could be carried out is the exit code.
    const forbidden = permissionErrors(plan.type, readMachine(manner.root))[0];
    if (forbidden) throw forbidden;
    return 0;
  }
  const debug = (text: string) => {
    if (manner.debug) process.stderr.write(`kexec: ${text}\n`);
  };
  describePlan(plan, debug);
  const applied = apply();
  if (applied.fellBack !== null) debug(applied.fellBack.message);
  debug(`${applied.syscall} with flags 0x${applied.flagBits.toString(16)} succeeded`);
  debug(describeLoaded(plan.type, applied.after));
  return 0;
}

function exec({ now, jump, manner }: CommandOf<'exec'>): number {
  if (manner.dryRun) {
    const handsOver = !now && isSystemdRunning(manner.root);
    print({
      action: 'exec',
      by: handsOver ? 'systemctl kexec' : 'reboot(2)',
      loaded: readMachine(manner.root).loaded.normal,
      sync: handsOver ? null : jump.sync,
      interfaces: handsOver || !jump.interfaces ? [] : listInterfacesUp(manner.root).reverse(),
    });
    return 0;
  }
  if (now) jumpNow(jump);
  else execute(jump);
  return 0;
}

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

function warn(warnings: readonly string[], { json }: Manner): void {
  for (const warning of warnings)
    process.stderr.write(json ? `${JSON.stringify({ warning })}\n` : `kexec: warning: ${warning}\n`);
}
