import { KdumpError } from '../lib/errors.ts';
import { errnoName, errnoText } from '../system/errno.ts';
import { crashMemory, isLockedDown, type MachineFacts } from './machine.ts';
import { permissionErrors } from './permission.ts';
import { fallbackErrnos, type Plan } from './plan.ts';
import { exitCodes, type Syscall } from './uapi.ts';

type Explanation = { readonly cause: string; readonly fix: string };
type Explain = (plan: Plan, machine: MachineFacts) => Explanation;
type Explanations = Readonly<Record<string, Explain>>;

const isSigned = (plan: Plan): boolean => plan.action === 'load' && plan.kernel.bzImage?.signed === true;

const badSignature: Explain = (plan) => {
  if (plan.action === 'load' && isSigned(plan))
    return {
      cause: `the signature of ${plan.kernel.path} was not accepted`,
      fix: "Install the kernel again in case the file was changed, or enrol its signer's certificate (mokutil --import): it must be in Secure Boot's db, the MOK list or the running kernel.",
    };
  const wrapped = plan.action === 'load' && plan.kernel.wrapping.includes('uki');
  return {
    cause: wrapped
      ? 'the kernel inside the unified image carries no signature, and this kernel demands one'
      : 'the image carries no signature, and this kernel demands one',
    fix: "Use the distribution's signed kernel, or sign this one and enrol the certificate (mokutil --import).",
  };
};

/** What holds the kernel down, as far as it is known. */
const lockdownReason = ({ permission }: MachineFacts): string =>
  `the kernel is locked down (${permission.lockdown}${
    permission.secureBoot === true ? ', Secure Boot is on' : ''
  })`;

/** EPERM where no lockdown explains it. */
const forbidden: Explanation = {
  cause: 'the kernel forbids it to this process, though it seems to have CAP_SYS_BOOT',
  fix: "Run it on the host: a container's user namespace or seccomp filter forbids kexec. Or see which security module refused: `dmesg`, the audit log.",
};

/** Facts first: they are certain. */
const notPermitted =
  (whenLockedDown: Explain): Explain =>
  (plan, machine) => {
    const certain = permissionErrors(plan.type, machine)[0];
    if (certain) return { cause: certain.message, fix: certain.fix ?? '' };
    if (!isLockedDown(machine)) return forbidden;
    const { cause, fix } = whenLockedDown(plan, machine);
    return { cause: `${lockdownReason(machine)}: ${cause}`, fix };
  };

const ima = ({ permission }: MachineFacts): string =>
  permission.imaRules.length === 0 ? '' : ` (seen: ${permission.imaRules.join('; ')})`;

/** What both calls answer alike: kernel/kexec_core.c. */
const common: Explanations = {
  EBUSY: () => ({
    cause: 'another kexec load or a crash hotplug update is under way',
    fix: 'Try again in a moment.',
  }),
  EADDRNOTAVAIL: (plan, machine) => {
    if (plan.action !== 'load' || plan.type !== 'crash')
      return {
        cause: 'no free range of memory is large enough for the image',
        fix: 'Make the initrd smaller.',
      };
    const { needed } = plan.memory;
    return {
      cause: `the image does not fit the reserved memory: ${
        needed === null ? '' : `at least ${needed.total} bytes are needed, `
      }${crashMemory(machine)?.size ?? 0} are reserved`,
      fix: 'Raise crashkernel= on the kernel command line and reboot, or make the initrd smaller.',
    };
  },
  ENOMEM: ({ type }) => ({
    cause: 'the running kernel has too little free memory to take the image',
    fix:
      type === 'crash'
        ? "Free memory and try again; or crashkernel= is too small for the kernel's page tables."
        : 'Free memory and try again.',
  }),
};

/** kernel/kexec_file.c and arch/x86/kernel/kexec-bzimage64.c. */
const ofFileLoad: Explanations = {
  ...common,
  EPERM: notPermitted(badSignature),
  EACCES: (_, machine) => ({
    cause: `a security policy (IMA or another security module) refused the file${ima(machine)}`,
    fix: 'See `dmesg` and the audit log; the files must satisfy the rules of KEXEC_KERNEL_CHECK and KEXEC_INITRAMFS_CHECK.',
  }),
  ENOSYS: () => ({
    cause: 'syscall kexec_file_load not available',
    fix: 'Boot a kernel built with CONFIG_KEXEC_FILE=y, or use kexec_load (-c).',
  }),
  ENOEXEC: () => ({
    cause: "none of the running kernel's loaders takes the image",
    fix: 'See `dmesg`; a 32-bit EFI machine cannot load a 64-bit image.',
  }),
  EINVAL: () => ({
    cause: 'the kernel found the flags, the command line or the layout invalid',
    fix: 'See `dmesg`. Frequent causes: the image and initrd need more than half of the memory, or a flag that this kernel does not know.',
  }),
  EOPNOTSUPP: () => ({
    cause: 'the running kernel cannot load such an image',
    fix: 'See `dmesg`.',
  }),
  ETXTBSY: () => ({
    cause: 'the kernel or the initrd is open for writing',
    fix: 'Wait until it is written, then try again.',
  }),
  EFBIG: () => ({
    cause: 'the kernel or the initrd is larger than the kernel reads',
    fix: 'Make the initrd smaller.',
  }),
  EIO: () => ({ cause: 'the kernel or the initrd could not be read', fix: 'See `dmesg` for disk errors.' }),
  ...Object.fromEntries(
    ['EKEYREJECTED', 'EKEYEXPIRED', 'EKEYREVOKED', 'ENOKEY', 'EBADMSG', 'ELIBBAD', 'ENOPKG', 'EMSGSIZE'].map(
      (name) => [name, badSignature],
    ),
  ),
};

/** kernel/kexec.c and sanity_check_segment_list(). */
const ofLoad: Explanations = {
  ...common,
  EPERM: notPermitted(() => ({
    cause: 'kexec_load is forbidden, since nobody can tell where its bytes come from',
    fix: 'Use kexec_file_load (-s) with a signed kernel.',
  })),
  EACCES: (_, machine) => ({
    cause: `a security policy (IMA or another security module) forbids kexec_load, which gives it no file to appraise${ima(machine)}`,
    fix: 'Use kexec_file_load (-s) with files that the policy accepts.',
  }),
  ENOSYS: () => ({
    cause: 'syscall kexec_load not available',
    fix: 'Boot a kernel built with CONFIG_KEXEC=y, or use kexec_file_load (-s).',
  }),
  EADDRNOTAVAIL: (plan, machine) =>
    plan.action === 'load' && plan.type === 'crash'
      ? {
          cause: `a segment or the entry lies outside of the reserved memory (${crashMemory(machine)?.size ?? 0} bytes), or is not aligned to pages`,
          fix: 'Raise crashkernel= on the kernel command line and reboot; leave out --mem-min, --mem-max and --entry.',
        }
      : {
          cause: 'a segment lies where no memory can be used, or is not aligned to pages',
          fix: 'Leave out --mem-min, --mem-max and --entry.',
        },
  EINVAL: () => ({
    cause: 'the kernel found the flags or the segments invalid',
    fix: 'See `dmesg`. Frequent causes: the image and initrd need more than half of the memory, or a flag that this kernel does not know (--hotplug, --load-preserve-context).',
  }),
};

const explanations: Readonly<Record<Syscall, Explanations>> = {
  kexec_file_load: ofFileLoad,
  kexec_load: ofLoad,
};

/**
 * The error for a system call that failed.
 * @param errno positive.
 * @param machine as it is after the call.
 */
export function explainErrno(errno: number, syscall: Syscall, plan: Plan, machine: MachineFacts): KdumpError {
  const name = errnoName(errno);
  const { cause, fix } = explanations[syscall][name]?.(plan, machine) ?? {
    cause: errnoText(errno),
    fix: 'See `dmesg`.',
  };
  const { permission, crash } = machine;
  const onlyFileMode = syscall === 'kexec_file_load' && fallbackErrnos.includes(name);
  return new KdumpError(
    `${plan.action === 'unload' ? 'unload' : 'load'}-failed`,
    `${syscall} failed: ${name}: ${cause}`,
    {
      fix,
      facts: {
        errno: name,
        syscall,
        type: plan.type,
        lockdown: permission.lockdown,
        secureBoot: permission.secureBoot,
        ima: permission.imaRules.join('; '),
        loadDisabled: permission.loadDisabled,
        capSysBoot: permission.capSysBoot,
        loadLimit: permission.limits[plan.type],
        crashSize: crash.size,
      },
      exitCode: onlyFileMode ? exitCodes.fileModeUnavailable : exitCodes.failed,
    },
  );
}
