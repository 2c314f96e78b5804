import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine, readText } from './proc.ts';

/** Who else has a say in which kernels are loaded: the firmware's Secure Boot, and IMA's policy. */

/** EFI's global variables (UEFI specification, 3.3). */
const secureBootVariable = 'sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';

/** Whether the firmware booted in Secure Boot mode; null when it is not EFI or does not say. */
export function readSecureBoot(root: string): boolean | null {
  try {
    // efivarfs puts 4 bytes of attributes before the value, which is one byte here.
    const variable = readFileSync(join(root, secureBootVariable));
    return variable.length === 5 ? variable[4] === 1 : null;
  } catch {
    return null;
  }
}

/** The hooks that kexec's calls go through (Documentation/ABI/testing/ima_policy). */
const kexecHook = /\bfunc=KEXEC_(KERNEL_CHECK|INITRAMFS_CHECK)\b/;

/**
 * What is seen of an IMA policy that appraises kernels: rules of the policy in force, where it can be read, and words
 * of the kernel command line. Empty when there is none or none is visible.
 */
export function readImaRules(root: string): string[] {
  const policy = readText(root, 'sys/kernel/security/ima/policy') ?? '';
  const rules = policy.split('\n').filter((rule) => /^appraise\b/.test(rule) && kexecHook.test(rule));
  const words = (readCommandLine(root) ?? '').split(/\s+/);
  return [
    ...rules,
    ...words.filter((word) => /^ima_policy=.*(secure_boot|appraise_tcb)|^ima_appraise=enforce/.test(word)),
  ];
}
