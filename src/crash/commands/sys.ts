import { gunzipSync } from 'node:zlib';
import { isMissing } from '../../kernel/memory.ts';
import { KdumpError } from '../../lib/errors.ts';
import { hasOption } from '../../lib/getopt.ts';
import { parseFlags, usageError } from '../arguments.ts';
import { systemLines } from '../banner.ts';
import type { Command } from '../command.ts';
import { systemFacts } from '../facts.ts';
import type { Session } from '../session.ts';
import { missingText } from '../text.ts';

export const sys: Command = {
  name: 'sys',
  usage: '[-c [name|number]] [-t] [-i] [config]',
  summary: 'the system: release, uptime, memory, what it panicked of',
  help: `Without options, what the shell shows at its start.

  -t        what tainted the kernel
  -i        how the machine's firmware describes it (DMI)
  -c        the system calls; with a number or a part of a name, only those
  config    how the kernel was configured, when it was built with CONFIG_IKCONFIG`,
  *run(session, args) {
    const { options, positionals } = parseFlags(args, 'cti');
    const [first] = positionals;
    if (options.some(({ name }) => name === 't')) yield taints(session);
    else if (options.some(({ name }) => name === 'i')) yield* firmware(session);
    else if (options.some(({ name }) => name === 'c')) yield* systemCalls(session, first);
    else if (first === 'config') yield* configuration(session);
    else if (first !== undefined) throw usageError(`no such thing of the system: ${first}`);
    else yield* systemLines(session);
  },
  json: (session, args) =>
    hasOption(parseFlags(args, 'cti'), 'c') || args.length > 0
      ? [...sys.run(session, args)]
      : { ...systemFacts(session.kernel, session.dump), dump: { paths: session.dump.paths } },
};

function taints({ kernel, dump }: Session): string {
  const found = systemFacts(kernel, dump).taints;
  if (found === undefined)
    throw new KdumpError('no-symbol', 'the dump does not tell what tainted the kernel');
  return `TAINTED_MASK: ${found.mask.toString(16)}  ${found.letters}`;
}

function* firmware({ kernel }: Session): Generator<string> {
  const table = kernel.symbol('dmi_ident')?.address;
  const fields = kernel.type('enum dmi_field')?.enumerators;
  if (table === undefined || fields === undefined)
    throw new KdumpError('no-symbol', 'this kernel does not keep what firmware says (dmi_ident)');
  for (const { name, value } of fields) {
    if (name === 'DMI_NONE' || name === 'DMI_STRING_MAX' || name === 'DMI_OEM_STRING') continue;
    const pointer = kernel.core.u64(table + 8n * value);
    if (pointer === 0n) continue;
    const text = isMissing(pointer) ? missingText(pointer) : kernel.text(pointer);
    yield `${name.padStart(25)}: ${typeof text === 'string' ? text : missingText(text)}`;
  }
}

const maxSystemCalls = 1024;

function* systemCalls(
  { kernel, settings, namelist }: Session,
  wanted: string | undefined,
): Generator<string> {
  const table = kernel.symbol('sys_call_table');
  if (table === undefined) throw new KdumpError('no-symbol', 'this kernel has no sys_call_table');
  yield 'NUM  SYSTEM CALL                FILE AND LINE NUMBER';
  const end = table.address + BigInt(kernel.symbolAt(table.address)?.size ?? 0);
  for (let number = 0; number < maxSystemCalls; number++) {
    const at = table.address + BigInt(8 * number);
    const address = at < end ? kernel.core.u64(at) : undefined;
    if (address === undefined) break;
    if (isMissing(address)) {
      yield `${String(number).padStart(3)}  ${missingText(address)}`;
      continue;
    }
    const place = kernel.symbolAt(address);
    if (place === undefined || place.offset !== 0) break;
    const { name } = place.symbol;
    if (wanted !== undefined && !(name.includes(wanted) || Number(wanted) === number)) continue;
    const line = namelist?.sourceLine(address);
    yield `${number.toString(settings.radix).padStart(3)}  ${name.padEnd(26)}${line === undefined ? '' : ` ${line}`}`.trimEnd();
  }
}

const configBytes = 2 ** 22;

function* configuration({ kernel }: Session): Generator<string> {
  const [start, end] = [kernel.symbol('kernel_config_data'), kernel.symbol('kernel_config_data_end')];
  if (start === undefined)
    throw new KdumpError('no-config', 'this kernel does not hold its configuration', {
      fix: 'Kernels built with CONFIG_IKCONFIG do; of others it lies in /boot/config-RELEASE.',
    });
  const size = end === undefined ? kernel.symbolAt(start.address)!.size : Number(end.address - start.address);
  const bytes = kernel.core.memory.read(start.address, Math.min(size, configBytes));
  if (isMissing(bytes)) throw new KdumpError('missing', `the configuration cannot be read: ${bytes.missing}`);
  const magic = Buffer.from(bytes).indexOf('\x1f\x8b', 0, 'latin1');
  yield* gunzipSync(bytes.subarray(Math.max(0, magic)), { maxOutputLength: configBytes, finishFlush: 2 })
    .toString('latin1')
    .trimEnd()
    .split('\n');
}
