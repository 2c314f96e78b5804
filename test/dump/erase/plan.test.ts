import { describe, expect, test } from 'vitest';
import { EraseFilter } from '../../../src/dump/erase/apply.ts';
import type { EraseKernel } from '../../../src/dump/erase/kernel.ts';
import { planErase } from '../../../src/dump/erase/plan.ts';
import type { KernelTypes, TypeRef } from '../../../src/kernel/types.ts';
import type { KdumpError } from '../../../src/lib/errors.ts';
import { fixtureKernel, fixtures, imageStart } from '../../helpers/vmlinux.ts';

const pageSize = 4096;
const everything = (): boolean => true;
const kernel = fixtureKernel();
const address = (name: string): bigint => kernel.symbols.address(name)!;
const offset = (struct: string, path: string): bigint => BigInt(kernel.types.member(struct, path)!.offset);
const u64 = (value: bigint): Uint8Array => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};
const pointerAt = (at: bigint): bigint =>
  Buffer.from(kernel.memory.read(at, 8) as Uint8Array).readBigUInt64LE();

/** Erased ranges of virtual memory, as [address, bytes, fill]; found by looking at every page of the image. */
function erasedBy(text: string, of: EraseKernel = kernel): [bigint, number, string][] {
  const { pieces } = planErase(text, 'my.conf', of);
  const filter = new EraseFilter(pieces, pageSize);
  const found: [bigint, number, string][] = [];
  for (let page = 0; page < 8; page++) {
    const start = imageStart + BigInt(page * pageSize);
    const pfn = kernel.physical(start) / pageSize;
    const bytes = new Uint8Array(pageSize).fill(0xaa);
    filter.apply(pfn, bytes, 0);
    for (const [i, byte] of bytes.entries()) {
      if (byte === 0xaa) continue;
      const fill = byte === 0 ? 'null' : String.fromCharCode(byte);
      const at = start + BigInt(i);
      const last = found.at(-1);
      if (last !== undefined && last[0] + BigInt(last[1]) === at && last[2] === fill) last[1]++;
      else found.push([at, 1, fill]);
    }
  }
  return found;
}
const infoOf = (text: string, of: EraseKernel = kernel): string =>
  planErase(text, 'my.conf', of).info(everything);
const messagesOf = (text: string, of: EraseKernel = kernel) => planErase(text, 'my.conf', of).messages;
const sorted = (ranges: [bigint, number, string][]) => ranges.sort((a, b) => (a[0] < b[0] ? -1 : 1));

describe.each(fixtures)('types of %s', (name) => {
  const mine = fixtureKernel(name);
  const info = (text: string): string => planErase(text, 'my.conf', mine).info(everything);

  test('sizes are those of the types', () => {
    expect(info('erase init_task.comm\nerase init_uts_ns.name.nodename\nerase node_data')).toBe(
      'erase init_task.comm size 16\nerase init_uts_ns.name.nodename size 65\nerase node_data size 32\n',
    );
    expect(info('erase init_task.grid\nerase init_task.cred\nerase anonymous.inner.y')).toBe(
      'erase init_task.grid size 96\nerase init_task.cred size 40\nerase anonymous.inner.y size 8\n',
    );
  });
});

describe('one place', () => {
  test('a variable and a member', () => {
    expect(erasedBy('erase big_size')).toEqual([[address('big_size'), 8, 'X']]);
    const comm = address('init_task') + offset('task_struct', 'comm');
    expect(erasedBy('erase init_task.comm')).toEqual([[comm, 16, 'X']]);
    expect(erasedBy('erase init_task.comm size 3')).toEqual([[comm, 3, 'X']]);
    expect(erasedBy('erase init_task.thread.pair.high')).toEqual([
      [address('init_task') + offset('task_struct', 'thread.pair.high'), 2, 'X'],
    ]);
  });

  test('what a pointer points to, not the pointer', () => {
    const cred = pointerAt(address('init_task') + offset('task_struct', 'cred'));
    expect(erasedBy('erase init_task.cred')).toEqual([[cred, 40, 'X']]);
    expect(erasedBy('erase init_task.cred.keys')).toEqual([[cred + 8n, 32, 'X']]);
    expect(erasedBy('erase secret_pointer.length')).toEqual([
      [address('secret') + offset('secret', 'length'), 8, 'X'],
    ]);
    expect(erasedBy('erase secret_pointer->length')).toEqual(erasedBy('erase secret_pointer.length'));
  });

  test('text up to its end, however long its array is', () => {
    const text = pointerAt(address('secret') + offset('secret', 'text'));
    expect(erasedBy('erase secret.text')).toEqual([[text, 11, 'X']]);
    expect(infoOf('erase secret.text')).toBe('erase secret.text size 11\n');
  });

  test('text that does not end is erased for 1024 bytes, across pages', () => {
    const mine = fixtureKernel();
    const start = imageStart + BigInt(3 * pageSize - 100);
    mine.write(start, Buffer.alloc(3000, 'a'));
    mine.write(address('secret') + offset('secret', 'text'), u64(start));
    expect(erasedBy('erase secret.text', mine)).toEqual([[start, 1024, 'X']]);
    // At the end of what is mapped.
    const last = imageStart + BigInt(8 * pageSize - 10);
    mine.write(last, Buffer.alloc(10, 'a'));
    mine.write(address('secret') + offset('secret', 'text'), u64(last));
    expect(erasedBy('erase secret.text', mine)).toEqual([[last, 10, 'X']]);
  });

  test('a size that the kernel knows', () => {
    expect(erasedBy('erase secret.data size secret.length')).toEqual([[address('payload'), 200, 'X']]);
    expect(erasedBy('erase secret_pointer.data size secret.tag')).toEqual([[address('payload'), 7, 'X']]);
    expect(erasedBy('erase payload size secret_pointer.length')).toEqual([[address('payload'), 200, 'X']]);
    expect(messagesOf('erase payload size init_task.comm')[0]).toMatch(/init_task\.comm is no integer/);
  });

  test('nullify zeroes the pointer itself', () => {
    const at = address('init_task') + offset('task_struct', 'cred');
    expect(erasedBy('erase init_task.cred nullify')).toEqual([[at, 8, 'null']]);
    expect(infoOf('erase init_task.cred nullify')).toBe('erase init_task.cred nullify\n');
    expect(erasedBy('erase node_data nullify')).toEqual([[address('node_data'), 32, 'null']]);
    expect(erasedBy('erase big_size nullify')).toEqual([]);
    expect(messagesOf('erase big_size nullify')).toEqual([
      'my.conf:1: big_size is no pointer: it cannot be nullified',
    ]);
  });

  test('NULL pointers lead nowhere, without a word', () => {
    for (const text of ['erase null_text', 'erase init_task.stack', 'erase init_task.parent.comm']) {
      const plan = planErase(text, 'my.conf', kernel);
      expect(plan.pieces).toEqual([]);
      expect(plan.messages).toEqual([]);
      expect(plan.info(everything)).toBe('');
    }
  });

  test('what a pointer to void or to a function points to has no size', () => {
    expect(messagesOf('erase secret.data')).toEqual([
      'my.conf:1: secret.data points to void: say size or nullify',
    ]);
    const mine = fixtureKernel();
    mine.write(address('init_task') + offset('task_struct', 'entry'), u64(address('_stext')));
    expect(messagesOf('erase init_task.entry', mine)[0]).toMatch(/points to a function/);
  });

  test('pages that are neighbours by virtual address only', () => {
    const start = imageStart + 4090n;
    const mine = fixtureKernel();
    mine.write(address('secret') + offset('secret', 'data'), u64(start));
    expect(erasedBy('erase secret.data size 8198', mine)).toEqual([[start, 8198, 'X']]);
    // The second and the third page happen to be neighbours in physical memory as well.
    const { pieces } = planErase('erase secret.data size 8198', 'my.conf', mine);
    expect(pieces.map((piece) => piece.length).sort((a, b) => a - b)).toEqual([6, 8192]);
  });

  test('what is not mapped is told, the rest is erased', () => {
    const mine = fixtureKernel();
    mine.write(address('secret') + offset('secret', 'data'), u64(imageStart + BigInt(8 * pageSize - 50)));
    expect(erasedBy('erase secret.data size 100', mine)).toHaveLength(1);
    expect(infoOf('erase secret.data size 100', mine)).toBe('erase secret.data size 50\n');
    expect(messagesOf('erase secret.data size 100', mine)[0]).toMatch(
      /secret\.data: 50 of 100 bytes at 0xffffffff81007fce are not mapped/,
    );
    mine.write(address('secret') + offset('secret', 'data'), u64(0x1234n));
    expect(planErase('erase secret.data size 10', 'my.conf', mine).pieces).toEqual([]);
    mine.write(address('secret_pointer'), u64(0x1234n));
    expect(messagesOf('erase secret_pointer.text', mine)[0]).toMatch(/memory at 0x\w+ is unmapped/);
  });

  test('a size that cannot be right is bounded', () => {
    const mine = fixtureKernel();
    mine.write(address('secret') + offset('secret', 'length'), u64(2n ** 63n));
    const messages = messagesOf('erase payload size secret.length', mine);
    expect(messages[0]).toBe('my.conf:1: payload: a size of more than 4294967296 bytes: no more are erased');
    expect(erasedBy('erase payload size secret.length', mine)[0]![0]).toBe(address('payload'));
  });
});

describe('loops', () => {
  const node = BigInt(kernel.types.find('node')!.size);
  const value = (element: bigint): [bigint, number, string] => [element + offset('node', 'value'), 4, 'X'];
  const circle = [0n, 1n, 2n].map((i) => address('circle') + i * node);

  test('over an array', () => {
    expect(erasedBy('for n in circle\nerase n.value\nendfor')).toEqual(circle.map(value));
    expect(infoOf('for n in circle\nerase n.value\nendfor')).toBe('erase n.value size 4\n'.repeat(3));
    expect(erasedBy('for n in circle\nerase n\nendfor')).toEqual([
      [address('circle'), 3 * Number(node), 'X'],
    ]);
  });

  test('over an array of pointers, NULL or not', () => {
    const targets = sorted([value(address('chain')), value(address('chain_end'))]);
    expect(erasedBy('for n in node_table\nerase n.value\nendfor')).toEqual(targets);
    expect(infoOf('for n in node_table\nerase n\nendfor')).toBe(`erase n size ${node}\n`.repeat(2));
    expect(infoOf('for n in node_table\nerase n nullify\nendfor')).toBe('erase n nullify\n'.repeat(4));
  });

  test('over a list that a member chains, until NULL or its start', () => {
    const chain = sorted([value(address('chain')), value(address('chain_end'))]);
    expect(erasedBy('for n in chain via next\nerase n.value\nendfor')).toEqual(chain);
    expect(erasedBy('for n in chain\nerase n.value\nendfor')).toEqual(chain);
    expect(erasedBy('for n in first_node via next\nerase n.value\nendfor')).toEqual(circle.map(value));
    expect(infoOf('for n in circle.next via next\nerase n.name\nendfor')).toBe(
      ['two', 'three', 'one'].map((name) => `erase n.name size ${name.length}\n`).join(''),
    );
  });

  test('over the structures of a list_head', () => {
    const tasks = 'within task_struct:tasks\nerase t.comm\nerase t.cred.uid\nendfor';
    const comm = offset('task_struct', 'comm');
    const second =
      pointerAt(address('init_task') + offset('task_struct', 'tasks')) - offset('task_struct', 'tasks');
    const all = erasedBy(`for t in init_task.tasks ${tasks}`);
    expect(all).toContainEqual([second + comm, 16, 'X']);
    // Two tasks with a name; the second alone has credentials. The head is no element.
    expect(infoOf(`for t in init_task.tasks ${tasks}`)).toBe(
      'erase t.comm size 16\nerase t.comm size 16\nerase t.cred.uid size 4\n',
    );
    expect(erasedBy(`for t in init_task.tasks.next ${tasks}`)).toEqual(all);
    expect(erasedBy(`for t in init_task.tasks.prev ${tasks}`)).toEqual(all);
    expect(messagesOf(`for t in init_task.tasks ${tasks}`)).toEqual([]);
    expect(infoOf('for t in empty_list within task_struct:tasks\nerase t.comm\nendfor')).toBe('');
  });

  test('a list that does not come back is left, and told', () => {
    const text = 'for t in lost_list within node:next\nerase t.value\nendfor';
    expect(messagesOf(text)[0]).toMatch(/'next' is no list_head in struct node/);
    // circle[0] read as a list_head: its `next` is the number 1, which is no address.
    expect(messagesOf('for t in lost_list within task_struct:tasks\nerase t.state\nendfor')).toEqual([
      expect.stringMatching(/my\.conf:2: t\.state: 4 of 4 bytes at 0xf{12,}\w+ are not mapped/),
      'my.conf:1: memory at 0x1 is unmapped',
    ]);
    const mine = fixtureKernel();
    const [one, two] = [address('circle'), address('circle') + node];
    mine.write(address('lost_list'), u64(one));
    mine.write(one, u64(two));
    mine.write(two, u64(one));
    expect(messagesOf('for t in lost_list within task_struct:tasks\nerase t.state\nendfor', mine)).toEqual([
      'my.conf:1: the list does not come back to its head: left after 2 elements',
    ]);
    mine.write(two + offset('node', 'next'), u64(two));
    mine.write(address('chain') + offset('node', 'next'), u64(two));
    expect(messagesOf('for n in chain via next\nerase n.value\nendfor', mine)).toEqual([
      'my.conf:1: the list does not come back to its start: left after 2 elements',
    ]);
  });

  test.each([
    ['for t in init_task.tasks\nerase t\nendfor', /is a list_head: say within STRUCT:MEMBER/],
    ['for t in init_task.tasks within nosuch:tasks\nerase t\nendfor', /there is no struct nosuch/],
    ['for n in chain via value\nerase n\nendfor', /'value' of struct node does not point to one of its kind/],
    ['for n in chain via nosuch\nerase n\nendfor', /struct node has no member 'nosuch'/],
    ['for n in big_size\nerase n\nendfor', /neither an array nor a structure nor a list_head/],
    ['for n in circle via next\nerase n\nendfor', /circle is an array: via is ignored/],
    ['for n in chain within node:next\nerase n\nendfor', /chain is no list_head: within is ignored/],
  ])('%j', (text, message) => {
    expect(messagesOf(text)).toEqual([expect.stringMatching(message)]);
  });
});

describe('what cannot be found', () => {
  test('is told with its line; the other commands go on', () => {
    const plan = planErase('erase nosuch\n\nerase init_task.nosuch\nerase big_size', 'my.conf', kernel);
    expect(plan.messages).toEqual([
      "my.conf:1: there is no symbol 'nosuch'",
      "my.conf:3: init_task.nosuch: struct task_struct has no member 'nosuch'",
    ]);
    expect(plan.info(everything)).toBe('erase big_size size 8\n');
  });

  test('modules that nothing is known about are skipped', () => {
    const text = '[some_module]\nerase big_size\n[vmlinux]\nerase big_size';
    expect(messagesOf(text)).toEqual([
      expect.stringMatching(/^my\.conf:1: module some_module is not loaded/),
    ]);
    expect(infoOf(text)).toBe('erase big_size size 8\n');
  });

  test('modules that something is known about have their own symbols', () => {
    const module = (name: string) =>
      name === 'some_module'
        ? { types: kernel.types, symbols: { address: () => address('payload') } }
        : undefined;
    const mine: EraseKernel = { ...kernel, module };
    expect(erasedBy('[some_module]\nerase big_size', mine)).toEqual([[address('payload'), 8, 'X']]);
  });

  test('types of variables that only debug information knows', () => {
    const { types: known } = kernel;
    const types: KernelTypes = {
      find: (name) => known.find(name),
      member: (struct, path) => known.member(struct, path),
      enumerator: (name) => known.enumerator(name),
      variable: () => undefined,
    };
    const blind: EraseKernel = { ...kernel, types };
    // A few are known without.
    expect(infoOf('erase init_task.comm\nerase init_uts_ns.name.release', blind)).toBe(
      'erase init_task.comm size 16\nerase init_uts_ns.name.release size 65\n',
    );
    let thrown: KdumpError | undefined;
    try {
      planErase('erase init_task.comm\n erase big_size', 'my.conf', blind);
    } catch (error) {
      thrown = error as KdumpError;
    }
    expect(thrown?.code).toBe('unknown-type');
    expect(thrown?.message).toBe("my.conf:2:8: the type of 'big_size' is not known");
    expect(thrown?.fix).toContain('-x');
  });
});

test('structures without a name are reached by types that only know names', () => {
  const { types: known } = kernel;
  const named = (type: TypeRef | undefined): TypeRef | undefined => {
    if (type === undefined) return undefined;
    const { kind, name, size } = type;
    const plain: TypeRef = { kind, name, size };
    return type.target === undefined ? plain : { ...plain, target: () => named(type.target!())! };
  };
  const types: KernelTypes = {
    find: (name) => named(known.find(name)),
    member: (struct, path) => {
      const member = known.member(struct, path);
      return member && { offset: member.offset, type: named(member.type)! };
    },
    enumerator: (name) => known.enumerator(name),
    variable: (name) => named(known.variable(name)),
  };
  const blind: EraseKernel = { ...kernel, types };
  for (const what of [
    'init_task.thread.pair.high',
    'init_task.thread.pair',
    'init_task.cred.gid.val',
    'secret.tag',
  ])
    expect(erasedBy(`erase ${what}`, blind)).toEqual(erasedBy(`erase ${what}`));
  expect(messagesOf('erase init_task.thread.nosuch', blind)).toEqual([
    "my.conf:1: init_task.thread.nosuch: the struct has no member 'nosuch'",
  ]);
});

describe('what a reader is told', () => {
  test('commands in their order, of the same place only the first', () => {
    const text = 'erase payload size 5\nerase big_size\nerase payload size 20';
    expect(infoOf(text)).toBe('erase payload size 20\nerase big_size size 8\n');
    expect(erasedBy(text)).toEqual(
      sorted([
        [address('payload'), 20, 'X'],
        [address('big_size'), 8, 'X'],
      ]),
    );
  });

  test('nothing of pages that are not dumped', () => {
    const mine = fixtureKernel();
    const start = imageStart + BigInt(2 * pageSize - 10);
    mine.write(address('secret') + offset('secret', 'data'), u64(start));
    const plan = planErase('erase secret.data size 30\nerase big_size', 'my.conf', mine);
    const first = kernel.physical(start - (start % BigInt(pageSize))) / pageSize;
    const second = kernel.physical(start + 10n) / pageSize;
    expect(plan.info((pfn) => pfn === first)).toMatch(/^erase secret\.data size 10\n/);
    expect(plan.info((pfn) => pfn === second)).toMatch(/^erase secret\.data size 20\n/);
    expect(plan.info(() => false)).toBe('');
  });

  test('a pointer to erase within something that is erased stays NULL', () => {
    const text = 'erase init_task\nerase init_task.cred nullify';
    const at = address('init_task') + offset('task_struct', 'cred');
    expect(erasedBy(text)).toContainEqual([at, 8, 'null']);
    expect(infoOf(text)).toMatch(/^erase init_task size \d+\nerase init_task\.cred nullify\n$/);
  });

  test('messages are bounded', () => {
    const lines = Array.from({ length: 150 }, (_, i) => `erase nosuch_${i}`).join('\n');
    const messages = messagesOf(lines);
    expect(messages).toHaveLength(101);
    expect(messages.at(-1)).toBe('my.conf: 50 more such places');
  });
});
