import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openVmlinuxFile } from '../../src/dump/vmlinux-file.ts';
import { readElfSections } from '../../src/formats/elf-sections.ts';
import { fixturePath, fixtures, readerOf } from '../helpers/vmlinux.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-vmlinux-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.each(fixtures)('%s is read from its file, compressed or not', (name) => {
  const path = join(directory, name);
  copyFileSync(fixturePath(name), path);
  const { vmlinux, close } = openVmlinuxFile(path);
  expect(vmlinux.release).toBe('5.0.0-test');
  expect(vmlinux.types.member('task_struct', 'comm')?.type.size).toBe(16);
  close();
});

test('a file that is not there, or no vmlinux, is named', () => {
  const path = join(directory, 'missing');
  expect(() => openVmlinuxFile(path)).toThrow(`${path}: cannot be opened`);
  writeFileSync(path, 'not an ELF file');
  expect(() => openVmlinuxFile(path)).toThrow(`${path}: not an ELF file`);
});

test('damaged compressed data is named', () => {
  const bytes = readFileSync(fixturePath('dwarf5-zlib'));
  const { sections } = readElfSections(readerOf(bytes), bytes.length, 'file');
  const { offset } = sections.find((section) => section.name === '.debug_info')!;
  bytes.fill(0xff, offset + 40, offset + 60);
  const path = join(directory, 'damaged');
  writeFileSync(path, bytes);
  const { vmlinux, close } = openVmlinuxFile(path);
  expect(() => vmlinux.types.find('page')).toThrow(`${path}: a compressed debug section cannot be unpacked`);
  close();
});
