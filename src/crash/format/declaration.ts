import type { CMember, CType } from '../../kernel/ctype.ts';

/** Structures without a name within each other, before it must be a circle. */
const maxDepth = 24;

/** A declaration in C: 'struct list_head *next', 'char comm[16]', 'void (*func)(struct work_struct *)'. */
export function declare(type: CType, name: string): string {
  const target = type.target;
  switch (type.kind) {
    case 'pointer': {
      const inner = `*${name}`;
      if (target === undefined || target.kind === 'void') return `void ${inner}`;
      const binds = target.kind === 'array' || target.kind === 'function';
      return declare(target, binds ? `(${inner})` : inner);
    }
    case 'array':
      return declare(target!, `${name}[${type.length === 0 ? '' : type.length}]`);
    case 'function': {
      const list = type.parameters.map((each) =>
        each.type.kind === 'void' ? '...' : declare(each.type, ''),
      );
      return declare(target!, `${name}(${list.length === 0 ? 'void' : list.join(', ')})`);
    }
    case 'const':
    case 'volatile':
    case 'restrict': {
      if (target === undefined) return joined(`${type.kind} void`, name);
      return target.kind === 'pointer'
        ? declare(target, ` ${type.kind} ${name}`.trimEnd())
        : `${type.kind} ${declare(target, name)}`;
    }
    default:
      return joined(nameOf(type), name);
  }
}

/** A type without a declared name: 'struct list_head', 'unsigned long', 'struct {...}'. */
export function nameOf(type: CType): string {
  switch (type.kind) {
    case 'struct':
    case 'union':
    case 'enum':
      return `${type.kind} ${type.name || '{...}'}`;
    case 'declared':
      return `struct ${type.name}`;
    case 'void':
      return 'void';
    default:
      return integerNames[type.name] ?? (type.name || type.kind);
  }
}

/** What the compiler calls integers, and what everybody does. */
const integerNames: Readonly<Record<string, string>> = {
  'long int': 'long',
  'long unsigned int': 'unsigned long',
  'short int': 'short',
  'short unsigned int': 'unsigned short',
  'long long int': 'long long',
  'long long unsigned int': 'unsigned long long',
};

/** The compiler's name of a type. */
export const compilersName = (name: string): string =>
  Object.entries(integerNames).find(([, usual]) => usual === name)?.[0] ?? name;

export type LayoutOptions = {
  /** Shows where each member lies: from the start, or from `base` when that is given. */
  readonly offsets?: boolean;
  readonly base?: bigint | undefined;
  readonly hex?: boolean;
};

/** A structure as it is declared, one member a line, then its size. */
export function layoutLines(type: CType, options: LayoutOptions = {}): string[] {
  return [
    `${nameOf(type)} {`,
    ...memberLines(type, 1, 0, columnOf(type, options)),
    '}',
    `SIZE: ${options.hex ? `0x${type.size.toString(16)}` : type.size}`,
  ];
}

/** One member by its path, within the braces of its structure; undefined when there is none. */
export function memberLayout(type: CType, path: string, options: LayoutOptions): string[] | undefined {
  const place = type.place(path);
  if (place === undefined) return undefined;
  const bits = place.bitField === undefined ? '' : ` : ${place.bitField.bits}`;
  const column = columnOf(type, { ...options, offsets: true });
  return [
    `${nameOf(type)} {`,
    `${column(place.offset)}${declare(place.type, path.split('.').at(-1)!)}${bits};`,
    '}',
  ];
}

/** What stands in front of a member, or in front of what has no offset of its own. */
type Column = (offset: number | undefined) => string;

function columnOf(type: CType, { offsets = false, base, hex = false }: LayoutOptions): Column {
  if (!offsets) return () => '    ';
  const show = (offset: number): string => {
    if (base !== undefined) return (base + BigInt(offset)).toString(16);
    return hex ? `0x${offset.toString(16)}` : String(offset);
  };
  const width = show(type.size).length + 4;
  return (offset) => `${(offset === undefined ? '' : `[${show(offset)}]`).padStart(width)} `;
}

function memberLines(type: CType, depth: number, start: number, column: Column): string[] {
  const indent = '    '.repeat(depth - 1);
  return type.members.flatMap((member) => {
    const offset = start + Math.floor(member.bitOffset / 8);
    const [element, suffix] = unnamed(member);
    if (element === undefined || depth === maxDepth) {
      const bits = member.bits === undefined ? '' : ` : ${member.bits}`;
      return [`${column(offset)}${indent}${declare(member.type, member.name)}${bits};`];
    }
    return [
      `${column(undefined)}${indent}${element.kind} {`,
      ...memberLines(element, depth + 1, offset, column),
      `${column(member.name === '' ? undefined : offset)}${indent}}${joined('', member.name + suffix)};`,
    ];
  });
}

/** The struct or union without a name that a member is of, or is an array of, which is then written out. */
function unnamed({ type, name }: CMember): [CType | undefined, string] {
  let element = type;
  let suffix = '';
  while (element.kind === 'array') {
    suffix += `[${element.length === 0 ? '' : element.length}]`;
    element = element.target!;
  }
  const isOpen = (element.kind === 'struct' || element.kind === 'union') && element.name === '';
  return [isOpen ? element : undefined, name === '' ? '' : suffix];
}

const joined = (type: string, name: string): string => (name === '' ? type : `${type} ${name}`);
