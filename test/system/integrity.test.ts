import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readImaRules, readSecureBoot } from '../../src/system/integrity.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'integrity-'));
});
afterEach(() => rmSync(root, { recursive: true }));
const put = (path: string, content: string | Uint8Array): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
};
const variable = 'sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';

test('Secure Boot, behind the attributes of the variable', () => {
  expect(readSecureBoot(root)).toBeNull();
  put(variable, Uint8Array.of(6, 0, 0, 0, 1));
  expect(readSecureBoot(root)).toBe(true);
  put(variable, Uint8Array.of(6, 0, 0, 0, 0));
  expect(readSecureBoot(root)).toBe(false);
  put(variable, Uint8Array.of(1));
  expect(readSecureBoot(root)).toBeNull();
});

test('IMA: rules about kexec, and words of the command line', () => {
  expect(readImaRules(root)).toEqual([]);
  put('proc/cmdline', 'ro ima_policy=tcb quiet\n');
  expect(readImaRules(root)).toEqual([]);
  put('proc/cmdline', 'ro ima_policy=tcb|secure_boot ima_appraise=enforce\n');
  const rule = 'appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig';
  put(
    'sys/kernel/security/ima/policy',
    `measure func=KEXEC_KERNEL_CHECK\n${rule}\nappraise func=MODULE_CHECK\n`,
  );
  expect(readImaRules(root)).toEqual([rule, 'ima_policy=tcb|secure_boot', 'ima_appraise=enforce']);
});
