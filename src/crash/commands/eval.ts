import { usageError } from '../arguments.ts';
import type { Command } from '../command.ts';

const units: Readonly<Record<string, bigint>> = { k: 1n << 10n, m: 1n << 20n, g: 1n << 30n };
const operators: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => divided(a, b, (x, y) => x / y),
  '%': (a, b) => divided(a, b, (x, y) => x % y),
  '&': (a, b) => a & b,
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
  '<<': (a, b) => a << (b & 63n),
  '>>': (a, b) => a >> (b & 63n),
};
/** The loosest first. */
const precedence: readonly (readonly string[])[] = [
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];

export const evaluate: Command = {
  name: 'eval',
  usage: '[-b] [-l] (expression) | value',
  summary: 'a number in every base, or arithmetic',
  help: [
    '  -b   which bits are set',
    'Values are decimal, 0x hexadecimal, a hexadecimal number with letters, or of K, M, G; symbols stand for their address.',
    'eval 128m      eval (1 << 32)      eval -b 0x41dc',
  ].join('\n'),
  *run({ kernel }, args) {
    const bits = args.includes('-b');
    const words = args.filter((word) => word !== '-b' && word !== '-l').join(' ');
    if (words === '') throw usageError('eval: an expression is expected');
    const value = arithmetic(words, (name) => kernel.symbol(name)?.address);
    yield* lines(value, bits);
  },
};

/** @throws KdumpError `usage` */
export function arithmetic(text: string, symbol: (name: string) => bigint | undefined): bigint {
  const tokens = text.match(/<<|>>|[-+*/%&|^~()]|[\w.]+|\S/g) ?? [];
  let at = 0;
  const operand = (): bigint => {
    const word = tokens[at++];
    if (word === '(') {
      const inner = level(0);
      if (tokens[at++] !== ')') throw usageError(`eval: ${text}: a bracket is not closed`);
      return inner;
    }
    if (word === '-') return -operand();
    if (word === '~') return ~operand();
    const value = word === undefined ? undefined : (number(word) ?? symbol(word) ?? hexadecimal(word));
    if (value === undefined) throw usageError(`eval: ${text}: ${word ?? 'the end'} is no value`);
    return value;
  };
  const level = (depth: number): bigint => {
    const own = precedence[depth];
    if (own === undefined) return operand();
    let left = level(depth + 1);
    while (own.includes(tokens[at] ?? '')) left = operators[tokens[at++]!]!(left, level(depth + 1));
    return left;
  };
  const result = level(0);
  if (at < tokens.length) throw usageError(`eval: ${text}: ${tokens[at]} is not expected there`);
  return BigInt.asUintN(64, result);
}

function number(word: string): bigint | undefined {
  if (/^0x[0-9a-f]{1,16}$/i.test(word)) return BigInt(word);
  const [, digits, unit] = /^(\d{1,20})([kmg]?)$/i.exec(word) ?? [];
  return digits === undefined ? undefined : BigInt(digits) * (units[unit!.toLowerCase()] ?? 1n);
}

const hexadecimal = (word: string): bigint | undefined =>
  /^[0-9a-f]{1,16}$/i.test(word) ? BigInt(`0x${word}`) : undefined;

function divided(a: bigint, b: bigint, by: (a: bigint, b: bigint) => bigint): bigint {
  if (b === 0n) throw usageError('eval: division by zero');
  return by(a, b);
}

function* lines(value: bigint, bits: boolean): Generator<string> {
  const signed = BigInt.asIntN(64, value);
  const unit = unitOf(value);
  yield `hexadecimal: ${value.toString(16)}  ${unit === undefined ? '' : `(${unit})`}`;
  yield `    decimal: ${value}  ${signed < 0n ? `(${signed})` : ''}`;
  yield `      octal: ${value.toString(8)}`;
  yield `     binary: ${value.toString(2).padStart(64, '0')}`;
  if (!bits) return;
  const set = Array.from({ length: 64 }, (_, i) => 63 - i).filter((bit) => (value >> BigInt(bit)) & 1n);
  yield `   bits set: ${set.map((bit) => `${bit} `).join('')}`;
}

function unitOf(value: bigint): string | undefined {
  for (const name of ['g', 'm', 'k']) {
    const unit = units[name]!;
    if (value >= unit && value % unit === 0n) return `${value / unit}${name.toUpperCase()}B`;
  }
  return undefined;
}
