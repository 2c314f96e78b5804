import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { KdumpError } from '../../lib/errors.ts';
import { findProgram } from '../../system/processes.ts';
import { type CaptureConfig, type CaptureTarget, captureConfig, type SshTarget } from '../capture/config.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { leaseScript, leaseScriptText } from '../network/apply.ts';
import { type NetworkFacts, readNetworkFacts } from '../network/facts.ts';
import type { NetworkPlan } from '../network/network-plan.ts';
import { hostsOfPlan, modulesOfPlan, planNetwork } from '../network/plan.ts';
import type { ImageFile } from './assemble.ts';
import { driversOfWatchdogs, modulesForDrivers } from './drivers.ts';
import { checkEncryption } from './encryption.ts';
import { collectHooks, collectPrograms } from './programs.ts';
import { collectSsh, sshPaths } from './ssh.ts';
import { type ImageSurroundings, isRunning, type SettledTarget, settleTarget } from './targets.ts';

/** Everything that the settings ask of an image, whoever builds it. */
export type Gathered = {
  readonly config: CaptureConfig;
  /** Names or aliases of modules, those of the way to the targets first. */
  readonly modules: readonly string[];
  /** Those for the account at home, which our own image inserts at the end. */
  readonly homeModules: readonly string[];
  /** Of all these, the drivers: they may need firmware. */
  readonly drivers: readonly string[];
  readonly files: readonly ImageFile[];
  readonly programs: readonly string[];
  /** Arguments for dracut, where it builds the image. */
  readonly dracut: readonly string[];
  /** Files of this machine beyond the programs that all this depends on. */
  readonly sources: readonly string[];
  readonly warnings: readonly string[];
};

/**
 * Gathers it, from the settings and from this machine. Nothing is asked of another machine.
 * @param accounts directory of this machine for accounts of crashes; null for none
 * @throws KdumpError for whatever would keep the capture from working
 */
export function gather(
  settings: EffectiveSettings,
  surroundings: ImageSurroundings,
  accounts: string | null,
): Gathered {
  const toRootfs = settings.failureAction === 'dump_to_rootfs';
  const warnings = [...settings.targets, ...(toRootfs ? [rootDirectory] : [])].flatMap((target) =>
    checkEncryption(target, surroundings.builder),
  );
  const [first, ...fallbacks] = settings.targets.map((target) => settleTarget(target, surroundings));
  const settled = [first!, ...fallbacks];
  const rootfs = toRootfs ? settleRoot(settings, surroundings) : null;
  const home = accounts === null ? null : settleHome(accounts, settings, surroundings, warnings);
  const network = gatherNetwork(settings, settled, warnings);
  const sshTargets = settled.flatMap(({ target }) => (target.kind === 'ssh' ? [target as SshTarget] : []));
  const ssh =
    sshTargets.length === 0
      ? undefined
      : collectSsh(sshTargets, settings.sshKey, settings.collector[0] === 'scp');
  const hooks = collectHooks(settings);
  const notifications = settings.notifications.filter(({ when }) => when === 'capture');
  const fence = fenceProgram(settings);
  const collected = collectPrograms([
    ...new Set([
      ...[...hooks.pre, ...hooks.post, ...hooks.emergency],
      ...settings.extraBins,
      ...notifications.filter(({ how }) => how === 'exec').map(({ to }) => to),
      ...(fence === undefined ? [] : [fence]),
    ]),
  ]);
  warnings.push(...collected.warnings);
  const config = captureConfig({
    targets: [first!.target, ...fallbacks.map(({ target }) => target)],
    path: settings.path,
    host: hostOf(settings, first!, network),
    coreCollector: settings.collector,
    hooks,
    failureAction: settings.failureAction,
    finalAction: settings.finalAction,
    rootfs: rootfs?.target ?? null,
    report: settings.report,
    home: home?.target ?? null,
    minFree: settings.limits.minFree,
    captureSeconds: settings.limits.captureSeconds,
    stallSeconds: settings.limits.stallSeconds,
    retention: settings.retention,
    notifications,
    network,
    ssh: ssh === undefined ? null : sshPaths,
    fence: fence === undefined ? null : { program: fence, ...settings.fence },
  });
  const drivers = [
    ...networkDrivers(network, surroundings),
    ...[...settled, ...(rootfs === null ? [] : [rootfs])].flatMap(({ modules }) => modules),
    ...watchdogDrivers(surroundings),
  ];
  return {
    config,
    drivers: [...new Set([...drivers, ...(home?.modules ?? [])])],
    modules: [
      ...new Set([...drivers, ...(network === null ? [] : modulesOfPlan(network)), ...settings.extraModules]),
    ],
    homeModules: home?.modules ?? [],
    files: [...(ssh?.files ?? []), ...filesForPrograms(network)],
    programs: [...(ssh?.programs ?? []), ...collected.programs],
    dracut: [...settled, ...(rootfs === null ? [] : [rootfs])].flatMap(({ dracut }) => dracut),
    sources: ssh?.sources ?? [],
    warnings,
  };
}

const rootDirectory = { kind: 'directory', path: '/' } as const;

function settleRoot(settings: EffectiveSettings, surroundings: ImageSurroundings): SettledTarget {
  const { target, modules, dracut } = settleTarget(rootDirectory, surroundings);
  return { target: { ...target, path: settings.path } as CaptureTarget, modules, remote: null, dracut };
}

/**
 * Where the account goes beside the targets: to this machine's own file system, unless every target is a directory of it.
 * The dump does not depend on that.
 */
function settleHome(
  accounts: string,
  { targets }: EffectiveSettings,
  surroundings: ImageSurroundings,
  warnings: string[],
): SettledTarget | null {
  if (targets.every(({ kind }) => kind === 'directory')) return null;
  try {
    const home = settleTarget({ kind: 'directory', path: accounts }, surroundings);
    // Nothing that dracut would wait for before the capture.
    if (home.dracut.length === 0) return home;
    throw new KdumpError('target-unknown', `${accounts} is not on the root file system`);
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    warnings.push(`What becomes of a crash will be told on the targets only: ${error.message}.`);
    return null;
  }
}

/** Without the machines that dumps go to there is no capture; who only wants to be told of it may be missing. */
function gatherNetwork(
  settings: EffectiveSettings,
  settled: readonly SettledTarget[],
  warnings: string[],
): NetworkPlan | null {
  const needed = settled.flatMap(({ remote }) => (remote === null ? [] : [remote]));
  const told = [
    ...settings.notifications.flatMap(({ when, how, to }) =>
      when === 'capture' && how === 'post' ? [new URL(to).hostname] : [],
    ),
    ...settings.fence.nodes,
  ];
  const reachable = told.filter((host) => {
    try {
      planNetwork(readNetworkFacts([host]));
      return true;
    } catch (error) {
      if (!(error instanceof KdumpError)) throw error;
      warnings.push(`${host} will not be told of a crash: ${error.message}.`);
      return false;
    }
  });
  if (needed.length + reachable.length === 0) return null;
  const facts: NetworkFacts = readNetworkFacts([...needed, ...reachable]);
  return planNetwork(facts);
}

/** Names the machine: on another one by its address, as kdump-utils does, here by its name. */
function hostOf(settings: EffectiveSettings, first: SettledTarget, network: NetworkPlan | null): string {
  if (settings.image.host !== null) return settings.image.host;
  const address = network?.remotes[0]?.source ?? null;
  const isRemote = first.remote !== null;
  const byAddress = settings.hostTag === 'ip' || (settings.hostTag === null && isRemote);
  return byAddress && address !== null ? address : hostname();
}

function networkDrivers(
  network: NetworkPlan | null,
  { drivers, index, release }: ImageSurroundings,
): string[] {
  if (network === null || drivers !== null) return [...(drivers ?? [])];
  return network.links.flatMap((link) =>
    link.kind === 'device' ? modulesForDrivers(link.name, link.drivers, index, isRunning(release)) : [],
  );
}

/** A watchdog that runs on into the capture kernel resets the machine unless somebody there feeds it. */
const watchdogDrivers = ({ index, release }: ImageSurroundings): string[] =>
  driversOfWatchdogs(index).flatMap((drivers) => {
    try {
      return modulesForDrivers('the watchdog', drivers, index, isRunning(release));
    } catch {
      // The other kernel has no driver for it, and then nobody has armed it there.
      return [];
    }
  });

const fencePrograms = ['/usr/libexec/fence_kdump_send', '/usr/lib/fence-agents/fence_kdump_send'];

/** @throws KdumpError `no-program` */
function fenceProgram({ fence }: EffectiveSettings): string | undefined {
  if (fence.nodes.length === 0) return undefined;
  const found = fencePrograms.find((path) => existsSync(path)) ?? findProgram('fence_kdump_send');
  if (found === undefined)
    throw new KdumpError('no-program', 'fence_kdump_nodes is set, but fence_kdump_send is not installed', {
      fix: 'Install the package fence-agents-kdump (fence-agents).',
      facts: { program: 'fence_kdump_send' },
    });
  return found;
}

const text = (path: string, content: string, mode = 0o644): ImageFile => ({
  path,
  mode,
  data: Buffer.from(content),
});

/** What programs of this machine expect to find: who they are, and how names are looked up. */
function filesForPrograms(network: NetworkPlan | null): ImageFile[] {
  const names = [
    text('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
    text('/etc/group', 'root:x:0:\n'),
    text('/etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files\n'),
  ];
  if (network === null) return names;
  return [
    ...names,
    text('/etc/hosts', hostsOfPlan(network)),
    ...(network.links.some(({ dhcp }) => dhcp) ? [text(leaseScript, leaseScriptText, 0o755)] : []),
  ];
}
