import { headerLayout, signature, statusIncomplete } from '../../formats/diskdump.ts';
import { elfHeaderLayout } from '../../formats/elf.ts';
import { elfIncomplete } from '../../formats/elf-encode.ts';
import { type Field, readStruct, writeStruct } from '../../lib/layout.ts';
import type { Sink } from './sink.ts';

/** Marks a dump incomplete that ended early and may not say so, whoever wrote it; one without a header stays as it is. */
export function markIncomplete(sink: Sink): void {
  const head = new Uint8Array(headerLayout.size);
  if (!sink.rewritable || !sink.readBack?.(0, head)) return;
  const magic = Buffer.from(head.subarray(0, 8)).toString('latin1');
  if (magic === signature) {
    const { status } = readStruct(headerLayout, head);
    writeStruct(headerLayout, head, 0, { status: status | statusIncomplete });
    writeField(sink, head, headerLayout.fields.status);
  } else if (magic.startsWith('\x7fELF\x02\x01')) {
    const { flags } = readStruct(elfHeaderLayout, head);
    writeStruct(elfHeaderLayout, head, 0, { flags: flags | elfIncomplete });
    writeField(sink, head, elfHeaderLayout.fields.flags);
  }
}

/** Writes a field of four bytes. */
function writeField(sink: Sink, head: Uint8Array, [offset]: Field): void {
  sink.write(head.subarray(offset, offset + 4), offset);
}
