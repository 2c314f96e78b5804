// Runs in the guest and looks at the running kernel. Counts its pages by our collector before and after the C one does,
// in one process, so that what this process takes up is the same for all three. Then clears the log, and reads it, and
// dumps the kernel while it runs.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { collect } from '../../../../src/dump/collect.ts';
import { extractDmesg } from '../../../../src/dump/dmesg.ts';
import { FileBytes } from '../../../../src/dump/input/bytes.ts';
import { ElfSource } from '../../../../src/dump/input/elf-source.ts';
import { formatMemoryUsage, liveMemoryUsage } from '../../../../src/dump/mem-usage.ts';
import { collectRequest } from '../../../../src/dump/request.ts';

const [directory, program, ...args] = process.argv.slice(2) as [string, string, ...string[]];

function measure(name: string): void {
  const messages: string[] = [];
  const began = performance.now();
  const usage = liveMemoryUsage('/proc/kcore', '/', {
    progress: () => {},
    message: (text) => messages.push(text),
  });
  const seconds = (performance.now() - began) / 1000;
  writeFileSync(join(directory, `${name}.json`), JSON.stringify({ usage, messages, seconds }));
  writeFileSync(join(directory, `${name}.txt`), formatMemoryUsage(usage));
}

// Once to have all code and memory of this process in place.
measure('first');
measure('before');
const began = performance.now();
const theirs = spawnSync(program, [...args, '--mem-usage', '/proc/kcore'], { encoding: 'utf8' });
const seconds = (performance.now() - began) / 1000;
measure('after');
const core = new ElfSource(new FileBytes('/proc/kcore'));
writeFileSync(join(directory, 'segments.json'), JSON.stringify(core.ranges));
core.close();
writeFileSync(
  join(directory, 'theirs.json'),
  JSON.stringify({ status: theirs.status, stdout: theirs.stdout, stderr: theirs.stderr, seconds }),
);

spawnSync('dmesg', ['-c']);
writeFileSync('/dev/kmsg', 'lab: logged after the log was cleared\n');
writeFileSync(join(directory, 'log.txt'), extractDmesg('/proc/kcore'), 'latin1');
writeFileSync(join(directory, 'partial.txt'), extractDmesg('/proc/kcore', { partial: true }), 'latin1');
const partial = [
  '--dump-dmesg',
  '--partial-dmesg',
  '-f',
  '/proc/kcore',
  join(directory, 'their-partial.txt'),
];
spawnSync(program, [...args, ...partial]);

const target = { kind: 'file', path: join(directory, 'dump'), overwrite: false } as const;
const report = collect(
  collectRequest(['/proc/kcore'], target, { dumpLevels: [31], compression: 'lzo', threads: 1 }),
  { progress: () => {}, message: () => {} },
);
writeFileSync(join(directory, 'dump.json'), JSON.stringify(report));
