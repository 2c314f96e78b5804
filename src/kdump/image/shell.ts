import { paths } from '../capture/paths.ts';

/**
 * Pieces of the init scripts that run in our images, for busybox's sh. An image's own init is written around them.
 */

/** What these pieces and the capture's init use of busybox beside its shell's own commands. */
export const applets = [
  'sh',
  'cat',
  'date',
  'dmesg',
  'findfs',
  'grep',
  'halt',
  'insmod',
  'mkdir',
  'mount',
  'poweroff',
  'reboot',
  'rm',
  'sleep',
  'sync',
  'umount',
] as const;

/** Quotes a word so that the shell takes it as it is. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Defines `say`: a line on the console and in the log, with the seconds since boot. */
export const defineSay = `log=${paths.log}
say() {
  read -r up rest < /proc/uptime
  line="kdump: [$(printf '%8s' "$up")] $*"
  echo "$line"
  echo "$line" >> $log
}
`;

/** Mounts what every program expects. /run is part of the root, which is memory already. */
export const mountSystem = `export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /proc /sys /dev /run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
`;

/**
 * Inserts the modules of a directory in their order. One that fails may still not be needed (no such hardware), so it is
 * said and passed over. Each file is removed once the kernel has it: the root is memory.
 */
export const loadModulesOf = (directory: string): string => `for module in ${directory}/*.ko; do
  [ -e "$module" ] || continue
  insmod "$module" 2>> $log || say "module \${module##*/} was not loaded"
  rm "$module"
done
`;
export const loadModules = loadModulesOf(paths.modules);

/** Mounts the squashfs image with node. */
export const mountNodeTree = `mkdir -p ${paths.tree}
mount -t squashfs -o loop,ro ${paths.squashfs} ${paths.tree} || say "the image with node cannot be mounted"
`;

/** The command that starts node with the libraries of its tree; a script and arguments follow. */
export const nodeCommand = `LD_LIBRARY_PATH=${paths.libraries} ${paths.node}`;
