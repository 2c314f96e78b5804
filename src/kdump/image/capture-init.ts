import {
  type CaptureConfig,
  type CaptureTarget,
  captureConfigPath,
  isMountedTarget,
  mountPointOf,
} from '../capture/config.ts';
import { paths, stalledWords } from '../capture/paths.ts';
import { defineSay, loadModules, mountNodeTree, mountSystem, nodeCommand, shellQuote } from './shell.ts';

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
 * Text of the script that another initramfs (dracut's) runs in a crash kernel when it has mounted the target; with an
 * argument, that it runs because it could not: the argument says why.
 * @param loader node's dynamic loader in the tree. It is called by its name, since that initramfs puts the loader of its
 * own programs where node looks for one.
 */
export function captureScript(config: CaptureConfig, loader: string): string {
  return `#!/bin/sh
# Runs the capture in a crash kernel, written by mkdumprd. Every road through it ends in a reboot.
if (exec > /dev/console) 2> /dev/null; then
  exec > /dev/console 2>&1
fi
${defineSay}
${defineLeave(config)}
if [ $# -gt 0 ]; then
  say "no capture: $*"
  leave
fi
say "capture begins"
modprobe -a loop squashfs 2>> $log
${mountNodeTree}
mount -o remount,rw ${shellQuote(mountPointOf(config.target))} 2>> $log || say "${mountPointOf(config.target)} cannot be made writable"
${captureAndLeave(config, `${loader} --library-path ${paths.libraries} ${paths.node}`)}`;
}

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
    sleep ${killBound}
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

# Without node there is no vmcore, but the cause need not be lost.
save_log_only() {
  ${reachTarget(config.target)}
  directory=${shellQuote(mountPointOf(config.target))}${shellQuote(config.path)}/${shellQuote(config.host)}-$(date -u +%Y-%m-%d-%H:%M:%S)
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
  say "saved the log of the capture in \${directory#${mountPointOf(config.target)}}"${isMountedTarget(config.target) ? '' : `\n  umount ${paths.target}`}
}

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

/** Defines `leave`: the end of every road. */
function defineLeave({ target, finalAction }: CaptureConfig): string {
  const settle = isMountedTarget(target)
    ? `{ sync; mount -o remount,ro ${shellQuote(target.mountPoint)} 2> /dev/null; } &`
    : 'sync &';
  // systemd's reboot goes without asking its manager only when told twice; busybox does not mind being told twice.
  const force = isMountedTarget(target) ? '-f -f' : '-f';
  return `leave() {
  say "${finalAction}"
  ${settle}
  syncing=$!
  waited=0
  while kill -0 $syncing 2> /dev/null && [ $waited -lt ${syncBound} ]; do
    sleep 1
    waited=$((waited + 1))
  done
  ${finalAction} ${force}
  reboot ${force}
  echo b > /proc/sysrq-trigger
  sleep 10
  # The end of PID 1 is a panic, and panic=-1 a reboot.
  exit 1
}
`;
}

/** Shell lines that bring the target up without node, or end the function when they cannot. */
function reachTarget(target: CaptureTarget): string {
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
