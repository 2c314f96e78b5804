import { writeFileSync } from 'node:fs';
import { type CollectReport, collect } from '../../dump/collect.ts';
import { dmesgOf } from '../../dump/dmesg.ts';
import { explainPage, formatExplanation } from '../../dump/explain.ts';
import { openSource } from '../../dump/input/open.ts';
import { KernelDescription } from '../../dump/kernel-description.ts';
import { formatMemoryUsage, liveMemoryUsage } from '../../dump/mem-usage.ts';
import type { FileTarget, MakedumpfileMode } from '../../dump/options.ts';
import { openFileSink } from '../../dump/output/file-sink.ts';
import type { Sink } from '../../dump/output/sink.ts';
import { openFlattenedStream, rearrange } from '../../dump/rearrange.ts';
import { reassemble } from '../../dump/reassemble.ts';
import { formatReport } from '../../dump/report.ts';
import { salvage } from '../../dump/salvage.ts';
import { formatVerifyReport } from '../../dump/verify/report.ts';
import { verify } from '../../dump/verify.ts';
import { vmcoreinfoOf } from '../../dump/vmcoreinfo-file.ts';
import { openVmlinuxFile } from '../../dump/vmlinux-file.ts';
import { formatWalk, walkAddress } from '../../dump/vtop.ts';
import { openKernelMemory } from '../../kernel/open.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { Progress } from '../../lib/progress.ts';

/** How a mode talks to the user. */
export type Talk = {
  readonly progress: Progress;
  /** A sentence. */
  message(text: string): void;
  /** Lines of the report, which only some want. */
  report(text: string): void;
  /** What the user asked for, on standard output whatever the message level. */
  result(text: string): void;
  /** Results are JSON. */
  readonly json: boolean;
};

/** What is said at the end, and the exit code. */
export type Outcome = { readonly trailer: string; readonly status: number };

const done = (trailer = ''): Outcome => ({ trailer, status: 0 });
const saved = (what: string, path: string): Outcome => done(`The ${what} is saved to ${path}.`);
const asJson = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

export function run(command: MakedumpfileMode, talk: Talk): Outcome {
  switch (command.mode) {
    case 'create':
      return create(command, talk);
    case 'dmesg':
      return dmesg(command);
    case 'rearrange':
      rearrangeTo(command.output);
      return saved('dumpfile', command.output.path);
    case 'reassemble': {
      const report = withSink(command, (sink) => reassemble(command.inputs, sink, talk.progress));
      if (talk.json) talk.result(asJson(report));
      if (report.pages.lost > 0)
        talk.message(`${report.pages.lost} pages are missing in the parts; the dump is marked incomplete.`);
      return saved('dumpfile', command.output.path);
    }
    case 'generate':
      return generate(command.vmlinux, command.output);
    case 'mem-usage': {
      const usage = liveMemoryUsage(command.input, '/', talk);
      talk.result(talk.json ? asJson(usage) : formatMemoryUsage(usage));
      return done();
    }
    case 'verify': {
      const report = verify(command.inputs, talk.progress);
      talk.result(talk.json ? asJson(report) : formatVerifyReport(report));
      return { trailer: '', status: report.ok ? 0 : 1 };
    }
    case 'salvage': {
      const report = withSink(command, (sink) => salvage(command.inputs, sink, talk.progress));
      if (talk.json) talk.result(asJson(report));
      for (const problem of report.problems) talk.message(problem);
      talk.message(`${report.pages.kept} pages are saved, ${report.pages.lost} are lost.`);
      return saved('dumpfile', command.output.path);
    }
    case 'explain': {
      const source = openSource(command.inputs);
      try {
        const description = new KernelDescription(source, command);
        const { vmcoreinfo } = description;
        const explained = explainPage(source, command.pfn, command.dumpLevel, { vmcoreinfo });
        description.close();
        talk.result(talk.json ? asJson(explained) : formatExplanation(explained));
      } finally {
        source.close();
      }
      return done();
    }
  }
}

type Mode<Name extends MakedumpfileMode['mode']> = Extract<MakedumpfileMode, { mode: Name }>;

function create({ request, translate }: Mode<'create'>, talk: Talk): Outcome {
  if (translate !== undefined) talk.result(translation(request.inputs, translate));
  const report = collect(request, talk);
  talk.report(`\n${formatReport(report)}${formatSteps(report)}\n`);
  if (talk.json) talk.result(asJson(report));
  const { outputs } = report;
  if (outputs.length === 0) return done('The dumpfile is saved to STDOUT.');
  if (outputs.length === 1) return saved('dumpfile', outputs[0]!);
  return done(`The dumpfiles are saved to ${outputs.slice(0, -1).join(', ')}, and ${outputs.at(-1)}.`);
}

function formatSteps({ seconds }: CollectReport): string {
  return [
    `STEP [Excluding unnecessary pages] : ${seconds.filter.toFixed(6)} seconds\n`,
    `STEP [Copying data               ] : ${seconds.copy.toFixed(6)} seconds\n`,
  ].join('');
}

function translation(inputs: readonly string[], address: bigint): string {
  const source = openSource(inputs);
  try {
    const { arch, vmcoreinfo } = source;
    if (arch === undefined || vmcoreinfo === undefined)
      throw new KdumpError('no-vmcoreinfo', `${source.path}: no VMCOREINFO note, so no page tables`);
    const { memory } = openKernelMemory(arch, vmcoreinfo, source, source.segments, source.made?.physBase);
    return formatWalk(walkAddress(memory, address));
  } finally {
    source.close();
  }
}

function dmesg(command: Mode<'dmesg'>): Outcome {
  const source = openSource(command.inputs);
  let text: string;
  try {
    const description = new KernelDescription(source, command);
    try {
      text = dmesgOf(source, { partial: command.partial }, description.vmcoreinfo ?? source.vmcoreinfo);
    } finally {
      description.close();
    }
  } finally {
    source.close();
  }
  if (command.output === undefined) {
    writeFileSync(1, text, 'latin1');
    return done('The dmesg log is saved to STDOUT.');
  }
  writeText(command.output, text);
  return saved('dmesg log', command.output.path);
}

function generate(vmlinux: string, output: FileTarget): Outcome {
  const file = openVmlinuxFile(vmlinux);
  try {
    // Page sizes differ between kernels of other architectures only, and those say theirs.
    writeText(output, vmcoreinfoOf(file.vmlinux, 4096));
  } finally {
    file.close();
  }
  return saved('vmcoreinfo', output.path);
}

function rearrangeTo(output: FileTarget): void {
  // What is no stream is found before an old file is overwritten.
  const stream = openFlattenedStream(0);
  withSink({ output, inputs: [] }, (sink) => rearrange(stream, sink));
}

type Conversion = { readonly inputs: readonly string[]; readonly output: FileTarget };

function withSink<T>({ inputs, output }: Conversion, work: (sink: Sink) => T): T {
  const sink = openFileSink(output.path, { overwrite: output.overwrite, inputs });
  try {
    return work(sink);
  } catch (error) {
    // What was written may be all that there is; an empty file is not.
    if (sink.written === 0) sink.discard();
    throw error;
  } finally {
    sink.close();
  }
}

function writeText({ path, overwrite }: FileTarget, text: string): void {
  try {
    writeFileSync(path, text, { encoding: 'latin1', mode: 0o600, flag: overwrite ? 'w' : 'wx' });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new KdumpError('create-failed', `${path}: cannot be written: ${(error as Error).message}`, {
      ...(exists ? { fix: 'Give another name, or -f to overwrite it.' } : {}),
      cause: error,
    });
  }
}
