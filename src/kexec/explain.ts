import { KdumpError } from '../lib/errors.ts';
import { errnoName, errnoText } from '../system/errno.ts';
import { crashMemory, type MachineFacts } from './machine.ts';
import { permissionErrors } from './permission.ts';
import type { Plan } from './plan.ts';
import { exitCodes } from './uapi.ts';

type Explanation = { readonly cause: string; readonly fix: string };
type Explain = (plan: Plan, machine: MachineFacts) => Explanation;

const lockedDown = (machine: MachineFacts) =>
  machine.permission.lockdown !== null && machine.permission.lockdown !== 'none';

const badSignature: Explain = (plan) =>
  plan.action === 'load' && plan.kernel.signed
    ? {
        cause: `the signature of ${plan.kernel.path} was not accepted`,
        fix: "Install the kernel again in case the file was changed, or enrol its signer's certificate (mokutil --import): it must be in Secure Boot's db, the MOK list or the running kernel.",
      }
    : {
        cause: 'the image carries no signature, and this kernel demands one',
        fix: "Use the distribution's signed kernel, or sign this one and enrol the certificate (mokutil --import).",
      };

/**
 * Why kexec_file_load answers with an errno: kernel/kexec_file.c, kernel/kexec_core.c and
 * arch/x86/kernel/kexec-bzimage64.c. Facts decide where one errno has several causes.
 */
const explanations: Readonly<Record<string, Explain>> = {
  EPERM: (plan, machine) => {
    const certain = permissionErrors(plan.type, machine)[0];
    if (certain) return { cause: certain.message, fix: certain.fix ?? '' };
    if (lockedDown(machine)) {
      const { cause, fix } = badSignature(plan, machine);
      return {
        cause: `the kernel is locked down (${machine.permission.lockdown}, by Secure Boot or lockdown=): ${cause}`,
        fix,
      };
    }
    return {
      cause: 'the kernel forbids it to this process, though it seems to have CAP_SYS_BOOT',
      fix: "Run it on the host: a container's user namespace or seccomp filter forbids kexec. Or see which security module refused: `dmesg`, the audit log.",
    };
  },
  EACCES: () => ({
    cause: 'a security policy (IMA or another security module) refused the file',
    fix: 'See `dmesg` and the audit log; the IMA policy must allow KEXEC_KERNEL_CHECK and KEXEC_INITRAMFS_CHECK.',
  }),
  EBUSY: () => ({
    cause: 'another kexec load or a crash hotplug update is under way',
    fix: 'Try again in a moment.',
  }),
  ENOSYS: () => ({
    cause: 'this kernel has no kexec_file_load',
    fix: 'Boot a kernel built with CONFIG_KEXEC_FILE=y. (The older kexec_load is not supported.)',
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
  EADDRNOTAVAIL: (plan, machine) => {
    const reserved = crashMemory(machine);
    return plan.action === 'load' && plan.type === 'crash'
      ? {
          cause: `the image does not fit the reserved memory: at least ${plan.memory.needed.total} bytes are needed, ${reserved?.size ?? 0} are reserved`,
          fix: 'Raise crashkernel= on the kernel command line and reboot, or make the initrd smaller.',
        }
      : { cause: 'no free range of memory is large enough for the image', fix: 'Make the initrd smaller.' };
  },
  ENOMEM: (plan) => ({
    cause: 'the running kernel has too little free memory to read the image',
    fix:
      plan.type === 'crash'
        ? "Free memory and try again; or crashkernel= is too small for the kernel's page tables."
        : 'Free memory and try again.',
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
  EKEYREJECTED: badSignature,
  EKEYEXPIRED: badSignature,
  EKEYREVOKED: badSignature,
  ENOKEY: badSignature,
  EBADMSG: badSignature,
  ELIBBAD: badSignature,
  ENOPKG: badSignature,
  EMSGSIZE: badSignature,
};

/** The original would go on with kexec_load after these; its exit code says that file mode itself is the matter. */
const fileModeErrnos: readonly string[] = ['ENOSYS', 'EINVAL', 'ENOEXEC', 'EOPNOTSUPP'];

/**
 * The error for a kexec_file_load that failed.
 * @param errno positive.
 * @param machine as it is after the call.
 */
export function explainErrno(errno: number, plan: Plan, machine: MachineFacts): KdumpError {
  const name = errnoName(errno);
  const { cause, fix } = explanations[name]?.(plan, machine) ?? {
    cause: errnoText(errno),
    fix: 'See `dmesg`.',
  };
  return new KdumpError(`${plan.action}-failed`, `kexec_file_load failed: ${name}: ${cause}`, {
    fix,
    facts: {
      errno: name,
      type: plan.type,
      lockdown: machine.permission.lockdown,
      loadDisabled: machine.permission.loadDisabled,
      capSysBoot: machine.permission.capSysBoot,
      loadLimit: machine.permission.limits[plan.type],
    },
    exitCode: fileModeErrnos.includes(name) ? exitCodes.fileModeUnavailable : exitCodes.failed,
  });
}
