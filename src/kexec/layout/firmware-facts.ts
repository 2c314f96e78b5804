import { bootParamsLayout } from '../../formats/boot-params.ts';
import { readStruct } from '../../lib/layout.ts';
import { numberedEntries, readBytes, readHex, readText } from '../../system/proc.ts';
import type { EfiFacts, EfiRuntimeRegion, LayoutFacts } from './layout-facts.ts';

/** What the running kernel was given by its own boot loader and by the firmware. */
export type FirmwareFacts = Pick<LayoutFacts, 'bootParams' | 'acpiRsdp' | 'efi'> & {
  readonly warnings: string[];
};

const efi = 'sys/firmware/efi';

export function readFirmwareFacts(root: string): FirmwareFacts {
  const found = readBytes(root, 'sys/kernel/boot_params/data');
  const bootParams = found?.length === bootParamsLayout.size ? found : null;
  const told = bootParams === null ? 0 : readStruct(bootParamsLayout, bootParams).acpi_rsdp_addr;
  const rsdp = told === 0 ? (systabEntry(root, 'ACPI20') ?? systabEntry(root, 'ACPI')) : told;
  return { bootParams, acpiRsdp: rsdp === null ? null : Number(rsdp), ...readEfi(root) };
}

/** An address in /sys/firmware/efi/systab, lines such as "SMBIOS=0x7f8ad000"; or null. */
function systabEntry(root: string, name: string): bigint | null {
  const digits = new RegExp(`^${name}=0x([0-9a-f]+)$`, 'im').exec(readText(root, `${efi}/systab`) ?? '')?.[1];
  return digits === undefined ? null : BigInt(`0x${digits}`);
}

/** Null unless EFI says everything that the next kernel wants to know [a hypervisor may hide it]. */
function readEfi(root: string): { efi: EfiFacts | null; warnings: string[] } {
  const [fw_vendor, runtime, tables] = ['fw_vendor', 'runtime', 'config_table'].map((file) =>
    readHex(root, `${efi}/${file}`),
  );
  if (fw_vendor == null || runtime == null || tables == null) return { efi: null, warnings: [] };
  const regions = numberedEntries(root, `${efi}/runtime-map`).map((region) => readRegion(root, region));
  const runtimeMap = regions.filter((region) => region !== null);
  const whole = runtimeMap.length === regions.length;
  return {
    // Firmware that has tables of SMBIOS 3 only does not list the older one.
    efi: {
      fw_vendor,
      runtime,
      tables,
      smbios: systabEntry(root, 'SMBIOS') ?? 0n,
      runtimeMap: whole ? runtimeMap : [],
    },
    warnings: whole ? [] : [`/${efi}/runtime-map cannot be read: EFI's run-time services are not handed on`],
  };
}

function readRegion(root: string, region: number): EfiRuntimeRegion | null {
  const [type, phys_addr, virt_addr, num_pages, attribute] = [
    'type',
    'phys_addr',
    'virt_addr',
    'num_pages',
    'attribute',
  ].map((file) => readHex(root, `${efi}/runtime-map/${region}/${file}`));
  if (type == null || phys_addr == null || virt_addr == null || num_pages == null || attribute == null)
    return null;
  return {
    type: Number(type),
    phys_addr: Number(phys_addr),
    virt_addr,
    num_pages: Number(num_pages),
    attribute,
  };
}
