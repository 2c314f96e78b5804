/** A disk controller that QEMU has, and what drives it. */
export type Controller = {
  readonly name: string;
  /** All of these are needed, its own driver last; each may be a part of the kernel. */
  readonly modules: readonly [string, ...string[]];
  /** For QEMU; the drive is called "scratch". */
  readonly devices: readonly string[];
};

/** In the order in which they are taken. */
export const controllers: readonly [Controller, ...Controller[]] = [
  {
    name: 'virtio block device',
    modules: ['virtio_pci', 'virtio_blk'],
    devices: ['virtio-blk-pci,drive=scratch'],
  },
  { name: 'NVMe', modules: ['nvme'], devices: ['nvme,drive=scratch,serial=rehearsal'] },
  {
    name: 'virtio SCSI',
    modules: ['virtio_pci', 'sd_mod', 'virtio_scsi'],
    devices: ['virtio-scsi-pci,id=scsi', 'scsi-hd,bus=scsi.0,drive=scratch'],
  },
  {
    name: 'AHCI',
    modules: ['sd_mod', 'ahci'],
    devices: ['ich9-ahci,id=ahci', 'ide-hd,bus=ahci.0,drive=scratch'],
  },
  {
    name: 'MegaRAID SAS',
    modules: ['sd_mod', 'megaraid_sas'],
    devices: ['megasas,id=scsi', 'scsi-hd,bus=scsi.0,drive=scratch'],
  },
  {
    name: 'LSI Fusion MPT SAS',
    modules: ['sd_mod', 'mptsas'],
    devices: ['mptsas1068,id=scsi', 'scsi-hd,bus=scsi.0,drive=scratch'],
  },
  {
    name: 'VMware paravirtual SCSI',
    modules: ['sd_mod', 'vmw_pvscsi'],
    devices: ['pvscsi,id=scsi', 'scsi-hd,bus=scsi.0,drive=scratch'],
  },
  { name: 'PIIX IDE', modules: ['sd_mod', 'ata_piix'], devices: ['ide-hd,drive=scratch'] },
];

/**
 * The controller that the modules of an image drive. What the image brings as a module is what its target needs, so that
 * comes before what happens to be a part of the kernel.
 */
export function controllerFor(
  modules: readonly string[],
  builtin: (module: string) => boolean,
): Controller | undefined {
  const driven = controllers.filter((one) =>
    one.modules.every((module) => modules.includes(module) || builtin(module)),
  );
  return driven.find((one) => modules.includes(one.modules.at(-1)!)) ?? driven[0];
}
