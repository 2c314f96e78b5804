/** The start of a device with a LUKS header. @param metadata JSON area of LUKS2; a text as it stands */
export function luksHeader(version: 1 | 2, uuid: string, metadata: object | string): Buffer {
  const bytes = Buffer.alloc(16384);
  bytes.write('LUKS\xba\xbe', 0, 'latin1');
  bytes.writeUInt16BE(version, 6);
  if (version === 2) bytes.writeBigUInt64BE(16384n, 8);
  bytes.write(uuid, 168);
  bytes.write(typeof metadata === 'string' ? metadata : JSON.stringify(metadata), 4096);
  return bytes;
}
