import { paths } from '../../capture/paths.ts';
import { loadModules, mountNodeTree, mountSystem, nodeCommand, shellQuote } from '../../image/shell.ts';

/** Where things lie in the guest. */
export const guestPaths = {
  kernel: '/load/vmlinuz',
  image: '/load/image',
  kexec: `${paths.tree}/app/kexec.mjs`,
} as const;

/** Tells the guest to show what is on the scratch disk, instead of crashing. */
export const lookParameter = 'kdump.look=1';
export const words = {
  failed: 'rehearsal: failed:',
  begin: 'rehearsal: report begins',
  end: 'rehearsal: report ends',
};
export const guestApplets = ['sed', 'usleep'] as const;

/**
 * Text of /init of the guest, which stands for this machine: in its first run it loads the capture image and crashes;
 * in its second it shows what the capture has left on the disk.
 * @param device of the scratch disk: UUID=… or LABEL=…
 * @param directory of dumps on it
 */
export function guestInit(
  device: string,
  fstype: string,
  directory: string,
  captureCommandLine: string,
  kexecArgs: readonly string[],
): string {
  const load = [
    '-p',
    ...kexecArgs,
    `--initrd=${guestPaths.image}`,
    `--append=${captureCommandLine}`,
    guestPaths.kernel,
  ];
  return `#!/bin/sh
# PID 1 of a guest in which a crash is rehearsed.
${mountSystem}
log=/run/rehearsal.log
say() {
  echo "$*"
  echo "$*" >> $log
}
leave() {
  say "$*"
  poweroff -f
  sleep 60
}
${loadModules}
read -r line < /proc/cmdline
case " $line " in
*" ${lookParameter} "*)
  mkdir -p /disk
  left=50
  until found=$(findfs ${shellQuote(device)} 2> /dev/null) || [ $left -eq 0 ]; do
    usleep 200000
    left=$((left - 1))
  done
  mount -t ${shellQuote(fstype)} -o ro "$found" /disk || leave "${words.failed} the disk cannot be mounted"
  dmesg -n 1
  for report in /disk${shellQuote(directory)}/*/dump.json; do
    [ -e "$report" ] || leave "${words.failed} the capture has left no report"
    echo "${words.begin}"
    cat "$report"
    echo "${words.end}"
  done
  umount /disk
  leave "rehearsal: looked"
  ;;
esac
${mountNodeTree}
${nodeCommand} ${guestPaths.kexec} ${load.map(shellQuote).join(' ')} 2> /run/kexec.log || {
  why="kexec -p ended with status $?:"
  while read -r line; do why="$why $line"; done < /run/kexec.log
  leave "${words.failed} $why"
}
say "rehearsal: crashing"
echo c > /proc/sysrq-trigger
sleep 60
leave "${words.failed} the kernel did not crash"
`;
}
