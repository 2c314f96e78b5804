import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Capture } from '../context.ts';
import { paths } from '../paths.ts';
import { type DumpReport, type DumpState, toJson } from '../report.ts';
import { openTarget } from '../targets/open-target.ts';
import { reportSeconds, smallFileBound } from './bounds.ts';
import { directoryName, saveDmesg } from './reaching.ts';
import { captureLog, captureLogName, fail, leave } from './recording.ts';
import { saveReport, wantsReport } from './reporting.ts';

/** Seconds for a driver to find its hardware. */
const insertBound = 60;

/**
 * Leaves the account on the machine itself, where its next boot looks: the dump is on another one, or nowhere. What else
 * can be known comes along when there is no dump. Only now is anything of this file system touched, drivers included.
 */
export function tellHome(capture: Capture): void {
  const { config, machine, report, log, saved } = capture;
  const home = config.home!;
  attempt(capture, () => leave(capture));
  // What could not be unmounted would be taken for it.
  if (machine.isMounted(machine.mountPoint)) machine.unmountByForce(machine.mountPoint);
  insertModules(capture);
  const target = openTarget(capture, home);
  target.reach();
  capture.target = target;
  try {
    const directory = target.makeDirectory(home.path ?? config.path, directoryName(capture));
    const tell = (): void => {
      const account: DumpReport = { ...report, copy: true, state: stateOf(capture), files: target.files() };
      target.writeFile('dump.json', toJson(account));
    };
    tell();
    capture.recorded = true;
    log.say(`the account is in ${directory} on ${target.name}`);
    if (saved) return;
    if (!wasTried(report, 'dmesg')) attempt(capture, () => saveDmesg(capture));
    machine.promise(reportSeconds + smallFileBound);
    if (wantsReport(capture)) attempt(capture, () => saveReport(capture));
    attempt(capture, () => target.writeFile(captureLogName, captureLog(capture)));
    tell();
  } finally {
    capture.target = null;
    target.leave(false);
  }
}

/** Of the dump, wherever it is. */
function stateOf({ saved, report }: Capture): DumpState {
  if (saved) return 'complete';
  return report.targets.some((result) => result?.state === 'incomplete') ? 'incomplete' : 'failed';
}

const wasTried = ({ steps }: DumpReport, step: string): boolean => steps.some(({ name }) => name === step);

/** The account is worth more than what comes with it. */
function attempt(capture: Capture, action: () => void): void {
  try {
    action();
  } catch (error) {
    fail(capture, 'home', error);
  }
}

function insertModules({ machine, log }: Capture): void {
  const modules = existsSync(paths.homeModules) ? readdirSync(paths.homeModules).sort() : [];
  for (const name of modules) {
    machine.promise(2 * insertBound);
    const { status, said } = machine.run('insmod', [join(paths.homeModules, name)], insertBound);
    if (status !== 0) log.say(`module ${name} was not loaded: ${said.trim()}`);
  }
}
