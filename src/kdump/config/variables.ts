/** Where variables are read from. */
export const variableFiles = {
  sysconfig: '/etc/sysconfig/kdump',
  default: '/etc/default/kdump-tools',
} as const;
export type VariableFile = keyof typeof variableFiles;

export type Variable = {
  /** Files in which it has this meaning. */
  readonly in: readonly VariableFile[];
  readonly doc: string;
  /** It says what kdump.conf says, and counts only where there is no kdump.conf. */
  readonly insteadOfConf?: true;
  /** Known to the originals, of no use here; the text says why. */
  readonly unused?: string;
};

const sysconfig = ['sysconfig'] as const;
const debian = ['default'] as const;
const both = ['sysconfig', 'default'] as const;

/** Every variable that is understood. Each name has one meaning in each of the files. */
export const variables: Readonly<Record<string, Variable>> = {
  KDUMP_KERNELVER: { in: sysconfig, doc: 'Release of the kernel that takes over. Default: the running one.' },
  KDUMP_COMMANDLINE: {
    in: both,
    doc: 'In /etc/sysconfig/kdump: what the command line is made from instead of /proc/cmdline. In /etc/default/kdump-tools: the command line, the whole of it.',
  },
  KDUMP_COMMANDLINE_REMOVE: { in: sysconfig, doc: 'Names of parameters that are taken out of it.' },
  KDUMP_COMMANDLINE_APPEND: { in: sysconfig, doc: 'Parameters that are added to it.' },
  KEXEC_ARGS: { in: sysconfig, doc: 'More options for kexec -p.' },
  KDUMP_BOOTDIR: { in: sysconfig, doc: 'Directory of kernels. Default: /boot.' },
  KDUMP_IMG: { in: sysconfig, doc: 'Name of the kernel there, before its release. Default: vmlinuz.' },
  KDUMP_IMG_EXT: { in: sysconfig, doc: 'What follows the release.' },
  KDUMP_STDLOGLVL: {
    in: sysconfig,
    doc: 'What start, stop, restart, reload and rebuild say to who runs them: 0 nothing, 1 errors, 2 warnings as well, 3 and 4 everything. Default: 3. Answers of other verbs are always given.',
  },
  KDUMP_SYSLOGLVL: {
    in: sysconfig,
    doc: 'The same for the log of the system, by logger(1). Default: 0, since the journal has what a service says anyway.',
  },
  KDUMP_KMSGLOGLVL: { in: sysconfig, doc: "The same for the kernel's log. Default: 0." },
  VMCORE_CREATION_NOTIFICATION: {
    in: sysconfig,
    doc: 'Whether start tells that no test has been passed since the set-up was changed, yes or no. Default: yes.',
  },
  FADUMP_COMMANDLINE_APPEND: {
    in: sysconfig,
    doc: 'Parameters for firmware-assisted dump.',
    unused: 'firmware-assisted dump is not supported',
  },

  USE_KDUMP: { in: debian, doc: '0: the machine is not armed.' },
  KDUMP_KERNEL: { in: debian, doc: 'The kernel that takes over. Default: the running one.' },
  KDUMP_IMAGE: {
    in: debian,
    doc: 'The capture image. Default: built below /var/lib/kdump when it is needed.',
  },
  KDUMP_IMAGE_OPTIONS: { in: debian, doc: 'Options of mkdumprd for it.', insteadOfConf: true },
  KDUMP_CMDLINE: { in: debian, doc: 'What the command line is made from instead of /proc/cmdline.' },
  KDUMP_CMDLINE_APPEND: { in: debian, doc: 'Parameters that are added to it.' },
  KDUMP_KEXEC_ARGS: { in: debian, doc: 'More options for kexec -p.' },
  KDUMP_COREDIR: { in: debian, doc: 'As path in kdump.conf.', insteadOfConf: true },
  KDUMP_NUM_DUMPS: {
    in: debian,
    doc: 'As retain_count in kdump.conf; 0: all dumps are kept.',
    insteadOfConf: true,
  },
  MAKEDUMP_ARGS: { in: debian, doc: 'Options of makedumpfile, as in core_collector.', insteadOfConf: true },
  KDUMP_FAIL_CMD: {
    in: debian,
    doc: 'As failure_action in kdump.conf: "reboot -f", "halt -f" or "poweroff -f".',
    insteadOfConf: true,
  },
  SSH: { in: debian, doc: 'USER@HOST, as ssh in kdump.conf.', insteadOfConf: true },
  SSH_KEY: { in: debian, doc: 'As sshkey in kdump.conf.', insteadOfConf: true },
  NFS: { in: debian, doc: 'SERVER:/EXPORT, as nfs in kdump.conf.', insteadOfConf: true },
  HOSTTAG: { in: debian, doc: 'What names the machine in the name of a dump: ip or hostname.' },

  KDUMP_INITRD: {
    in: debian,
    doc: '',
    unused: 'the capture image is built here; name another one in KDUMP_IMAGE',
  },
  KDUMP_CONFIG: { in: debian, doc: '', unused: 'the configuration of a running kernel is found without it' },
  KDUMP_DUMP_DMESG: { in: debian, doc: '', unused: 'the log of the crashed kernel is always saved' },
  KDUMP_COMPRESSION: {
    in: debian,
    doc: '',
    unused: 'makedumpfile compresses: -l, -c or -z in MAKEDUMP_ARGS',
  },
  KDUMP_SYSCTL: { in: debian, doc: '', unused: 'write it to a file in /etc/sysctl.d' },
  NFS_TIMEO: { in: debian, doc: '', unused: 'stall_timeout in kdump.conf bounds every target' },
  NFS_RETRANS: { in: debian, doc: '', unused: 'stall_timeout in kdump.conf bounds every target' },
  NFS_MOUNT_RETRY: { in: debian, doc: '', unused: 'capture_deadline in kdump.conf bounds the capture' },
  SSH_KDUMP_RETRY: { in: debian, doc: '', unused: 'capture_deadline in kdump.conf bounds the capture' },
  FTP: { in: debian, doc: '', unused: 'FTP sends dump and password in the clear; use SSH' },
  FTP_USER: { in: debian, doc: '', unused: 'FTP is not supported' },
  FTP_PASSWORD: { in: debian, doc: '', unused: 'FTP is not supported' },
  FTP_PORT: { in: debian, doc: '', unused: 'FTP is not supported' },
};

/**
 * Values that packages of the originals write into their files without being asked: they name what those packages
 * maintain (links to a kernel and its initramfs), which need not be there any more, and count as not given.
 */
export const packagedValues: Readonly<Record<string, string>> = {
  KDUMP_KERNEL: '/var/lib/kdump/vmlinuz',
  KDUMP_INITRD: '/var/lib/kdump/initrd.img',
};

/** Taken from every command line that is made from the running one: it would be wrong or said twice. */
export const alwaysRemoved = [
  'crashkernel',
  'panic_on_warn',
  'root',
  'rd.lvm.lv',
  'rd.luks.uuid',
  'rd.dm.uuid',
  'rd.md.uuid',
  'fcoe',
  'netroot',
  'rd.iscsi.initiator',
  'iscsi_initiator',
] as const;

/** Of KDUMP_COMMANDLINE_REMOVE and KDUMP_COMMANDLINE_APPEND, as kdump-utils sets them up for x86_64. */
export const commandLineDefaults = {
  remove: 'hugepages hugepagesz slub_debug quiet log_buf_len swiotlb hugetlb_cma ignition.firstboot cma',
  append:
    'irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off udev.children-max=2 panic=10 acpi_no_memhotplug transparent_hugepage=never nokaslr hest_disable novmcoredd cma=0 hugetlb_cma=0 pcie_ports=compat kfence.sample_interval=0 initramfs_options=size=90%',
} as const;
