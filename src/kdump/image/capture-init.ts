import { isFinalAction } from '../capture/actions.ts';
import {
  type CaptureConfig,
  type CaptureTarget,
  type FileSystemTarget,
  finalActions,
  isMountedTarget,
  type MountedTarget,
  mountPointOf,
} from '../capture/config.ts';
import { places } from '../capture/context.ts';
import { captureConfigPath, paths, stalledWords } from '../capture/paths.ts';
import {
  defineSay,
  loadModules,
  loadModulesOf,
  mountNodeTree,
  mountSystem,
  nodeCommand,
  shellQuote,
} from './shell.ts';

/** Seconds for node to start and to make its first promise: it is read from the squashfs image on a slow machine. */
const startBound = 120;
/** Seconds for the kernel to end a killed capture; longer means that it is stuck in the kernel itself. */
const killBound = 60;
const syncBound = 60;

/**
 * Text of /init, PID 1 of the capture kernel. It has one task beside starting node: that the machine reboots, whatever
 * becomes of the capture. So it does nothing that may end the shell, bounds every wait, and panics (panic=-1 reboots)
 * when even reboot(2) does not work.
 */
export function captureInit(config: CaptureConfig): string {
  return `#!/bin/sh
# PID 1 of the capture kernel, written by mkdumprd. Every road through it ends in a reboot.
${mountSystem}
${defineSay}
${defineLeave(config)}
say "capture kernel is up"
${loadModules}
${mountNodeTree}
${captureAndLeave(config, nodeCommand)}`;
}

/**
 * Text of the script that another initramfs (dracut's, or that of initramfs-tools) runs in a crash kernel when it has
 * mounted its file systems; with an argument, that it runs because it could not: the argument says why, and only targets
 * that need none of them are left.
 * @param modules to be loaded by their names
 * @param loader node's dynamic loader in the tree. It is called by its name, since that initramfs puts the loader of its
 * own programs where node looks for one.
 */
export function captureScript(
  config: CaptureConfig,
  loader: string,
  modules: readonly string[] = [],
): string {
  const mounted = config.targets.filter(isMountedTarget);
  return `#!/bin/sh
# Runs the capture in a crash kernel, written by mkdumprd. Every road through it ends in a reboot.
if (exec > /dev/console) 2> /dev/null; then
  exec > /dev/console 2>&1
fi
export PATH=/usr/lib/kdump/bin:/usr/sbin:/usr/bin:/sbin:/bin
${defineSay}
${defineLeave(config)}
# Whatever else fails there while a capture runs is no reason to end it: it ends by itself, with a reboot.
if read -r other 2> /dev/null < ${paths.runner}; then
  say "a capture runs already: $*"
  while kill -0 "$other" 2> /dev/null; do
    sleep 1
  done
fi
echo $$ > ${paths.runner}
if [ $# -gt 0 ]; then
  say "${mounted.length < config.targets.length ? '' : 'no capture: '}$*"
${mounted.length < config.targets.length ? '' : '  leave\n'}fi
say "capture begins"
for module in ${['loop', 'squashfs', ...modules].map(shellQuote).join(' ')}; do
  modprobe "$module" 2>> $log || say "module $module was not loaded"
done
${mountNodeTree}
${mountPointsOf(config)
  .map((at) => `mount -o remount,rw ${at} 2>> $log || say ${at} "cannot be made writable"\n`)
  .join('')}${captureAndLeave(config, `${loader} --library-path ${paths.libraries} ${paths.node}`)}`;
}

/** Shell lines that end a wait in the kernel for an NFS server that is gone: then the capture can be ended. */
const letGo = ({ targets }: CaptureConfig): string =>
  targets.some(({ kind }) => kind === 'nfs')
    ? `    sleep 5
    kill -0 "$1" 2> /dev/null || return
    umount -f -l ${paths.target} 2>> $log &
`
    : '';

/** Where somebody else has mounted what the capture may write to, quoted. */
const mountPointsOf = (config: CaptureConfig): string[] => {
  const all = [...places(config), ...(config.home === null ? [] : [config.home])].filter(isMountedTarget);
  return [...new Set(all.map(({ mountPoint }) => shellQuote(mountPoint)))];
};

/** What both scripts are about: starts the capture, looks after it, tells when it cannot run, leaves. */
function captureAndLeave(config: CaptureConfig, node: string): string {
  return `# The capture promises by when its next sign of life is due. When that passes, it is ended, so that the
# cause can still be written down; when it cannot be ended, the kernel is stuck and only a reboot helps.
watch_over() {
  while sleep 5; do
    kill -0 "$1" 2> /dev/null || return
    read -r due < ${paths.promise} || continue
    read -r up rest < /proc/uptime
    [ "\${up%.*}" -gt "$due" ] || continue
    say "${stalledWords}"
    kill -9 "$1"
${letGo(config)}    sleep ${killBound}
    kill -0 "$1" 2> /dev/null || return
    say "it cannot be ended: rebooting"
    leave
  done
}

# Only one node at a time: memory is what the crash kernel has least of.
run_capture() {
  read -r up rest < /proc/uptime
  echo $((\${up%.*} + ${startBound})) > ${paths.promise}
  ${node} ${paths.capture} "$@" 2> /run/stderr &
  capture=$!
  watch_over $capture &
  watcher=$!
  wait $capture
  status=$?
  kill $watcher 2> /dev/null
  if [ -s /run/stderr ]; then
    cat /run/stderr
    cat /run/stderr >> $log
  fi
  return $status
}

${saveLogOnly(config)}
# What is written is on its way to the disk within seconds, not half a minute: that is what a loss of power may cost.
echo 200 > /proc/sys/vm/dirty_expire_centisecs
echo 100 > /proc/sys/vm/dirty_writeback_centisecs
if [ -e ${captureConfigPath} ]; then
  run_capture || {
    first=$status
    say "the capture ended with status $first: writing down why"
    run_capture --after-failure $first || save_log_only $first
  }
else
  say "${captureConfigPath} is not in the image"
fi
leave
`;
}

/** Defines what happens when node cannot run: there is no vmcore, but the cause need not be lost. */
function saveLogOnly({ targets, home, path, host }: CaptureConfig): string {
  const target = [...targets, ...(home === null ? [] : [home])].find(isInReach);
  // What a shell can write to is what the kernel mounts by itself.
  if (target === undefined)
    return `save_log_only() {
  cat $log
  say "the capture could not run (status $1), and no target can be written without it"
}
`;
  return `save_log_only() {
${target === home ? loadModulesOf(paths.homeModules) : ''}  ${reachTarget(target)}
  directory=${shellQuote(mountPointOf(target))}${shellQuote(target.path ?? path)}/${shellQuote(host)}-$(date -u +%Y-%m-%d-%H:%M:%S)
  umask 077
  mkdir -p "$directory" || return
  {
    echo "The memory of the crashed kernel was not saved: the capture could not run (status $1)."
    dmesg | grep -q "Initramfs unpacking failed" && echo "The crash kernel's memory was too small to unpack its image: reserve more with crashkernel=."
    echo "kexec-dmesg.log has what the capture and its kernel said."
  } > "$directory/vmcore-failed.txt"
  { cat $log; echo "--- log of the capture kernel ---"; dmesg; } > "$directory/kexec-dmesg.log"
  cat "$directory/vmcore-failed.txt"
  sync
  say "saved the log of the capture in \${directory#${mountPointOf(target)}}"${isMountedTarget(target) ? '' : `\n  umount ${paths.target}`}
}
`;
}

type InReach = (FileSystemTarget | MountedTarget) & { readonly path?: string };
const isInReach = (target: CaptureTarget): target is InReach =>
  target.kind === 'filesystem' || target.kind === 'mounted';

/** Defines `leave`: the end of every road. What it does is the capture's to say; a capture that never came to it has failed. */
function defineLeave(config: CaptureConfig): string {
  const { failureAction, finalAction } = config;
  const action = isFinalAction(failureAction) ? failureAction : finalAction;
  const mounted = mountPointsOf(config);
  const readOnly = mounted.map((at) => ` mount -o remount,ro ${at} 2> /dev/null;`);
  const settle = mounted.length > 0 ? `{ sync;${readOnly.join('')} } &` : 'sync &';
  // systemd's reboot goes without asking its manager only when told twice; busybox does not mind being told twice. Both
  // would wait for all that is written, be it to a server that is gone: -n, since that was waited for already.
  const force = '-f -f -n';
  return `leave() {
  action=${action}
  if [ -r ${paths.action} ]; then
    read -r said < ${paths.action}
    case $said in
      ${finalActions.join(' | ')}) action=$said ;;
    esac
  fi
  say "$action"
  ${settle}
  syncing=$!
  waited=0
  while kill -0 $syncing 2> /dev/null && [ $waited -lt ${syncBound} ]; do
    sleep 1
    waited=$((waited + 1))
  done
  $action ${force}
  reboot ${force}
  echo b > /proc/sysrq-trigger
  sleep 10
  # The end of PID 1 is a panic, and panic=-1 a reboot.
  exit 1
}
`;
}

/** Shell lines that bring the target up without node, or end the function when they cannot. */
function reachTarget(target: InReach): string {
  if (isMountedTarget(target)) return `grep -q " ${target.mountPoint} " /proc/mounts || return`;
  return `device=${shellQuote(target.device)}
  case $device in
    /dev/*) ;;
    *) device=$(findfs "$device") || return ;;
  esac
  mkdir -p ${paths.target}
  # It may be mounted still, from the capture that failed.
  mount -t ${shellQuote(target.fstype)} -o ${shellQuote(target.mountOptions || 'rw')} "$device" ${paths.target} 2> /dev/null`;
}
