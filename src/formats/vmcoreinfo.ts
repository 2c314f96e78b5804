import { KdumpError } from '../lib/errors.ts';

/**
 * VMCOREINFO: the text by which a kernel describes itself to dump tools (kernel/vmcore_info.c,
 * Documentation/admin-guide/kdump/vmcoreinfo.rst). Lines of KEY=VALUE: SYMBOL() and KERNELOFFSET hexadecimal without 0x,
 * SIZE(), OFFSET() and LENGTH() decimal, NUMBER() decimal (maybe negative) or 0x-hexadecimal.
 */
export class Vmcoreinfo {
  readonly text: string;
  readonly #values = new Map<string, string>();
  #exported: Vmcoreinfo | undefined;
  #lookup: ((key: string) => string | undefined) | undefined;
  /** What `lookup` said, silence included. */
  readonly #answers = new Map<string, string | undefined>();

  /** From the description of its ELF note, which the kernel pads with zeros. */
  static fromBytes(description: Uint8Array): Vmcoreinfo {
    return new Vmcoreinfo(Buffer.from(description).toString('latin1').replace(/\0.*$/s, ''));
  }

  constructor(text: string) {
    this.text = text;
    for (const line of text.split('\n')) {
      const equals = line.indexOf('=');
      // The first one wins, as in the original: a repeated key is a later note that knows less.
      if (equals > 0 && !this.#values.has(line.slice(0, equals)))
        this.#values.set(line.slice(0, equals), line.slice(equals + 1));
    }
  }

  /** The same description, but keys that it does not have are asked of `lookup`, each once. */
  withFallback(lookup: (key: string) => string | undefined): Vmcoreinfo {
    const info = new Vmcoreinfo(this.text);
    info.#exported = this.exported;
    info.#lookup = lookup;
    return info;
  }

  /** What the kernel itself says: this without a fallback. For keys whose absence means something, or costs nothing. */
  get exported(): Vmcoreinfo {
    return this.#exported ?? this;
  }

  get(key: string): string | undefined {
    const value = this.#values.get(key);
    if (value !== undefined || this.#lookup === undefined) return value;
    if (!this.#answers.has(key)) this.#answers.set(key, this.#lookup(key));
    return this.#answers.get(key);
  }

  get osrelease(): string | undefined {
    return this.get('OSRELEASE');
  }

  /** Seconds since the epoch at which the kernel crashed. */
  get crashTime(): number | undefined {
    return this.#decimal('CRASHTIME');
  }

  /** Bytes. */
  get pageSize(): number | undefined {
    return this.#decimal('PAGESIZE');
  }

  /** Run-time virtual address of a symbol (KASLR already applied). */
  symbol(name: string): bigint | undefined {
    const value = this.get(`SYMBOL(${name})`);
    return value === undefined ? undefined : parse(`0x${value}`, `SYMBOL(${name})`);
  }

  /** Bytes. */
  size(type: string): number | undefined {
    return this.#decimal(`SIZE(${type})`);
  }

  /** Bytes. */
  offset(member: string): number | undefined {
    return this.#decimal(`OFFSET(${member})`);
  }

  /** Elements. */
  arrayLength(name: string): number | undefined {
    return this.#decimal(`LENGTH(${name})`);
  }

  /** As a bigint: phys_base, VMALLOC_START and sme_mask exceed 2^53. */
  number(name: string): bigint | undefined {
    const value = this.get(`NUMBER(${name})`);
    if (value === undefined) return undefined;
    const decimal = /^-?\d+$/.test(value);
    return parse(decimal ? value : value.startsWith('0x') ? value : `0x${value}`, `NUMBER(${name})`);
  }

  #decimal(key: string): number | undefined {
    const value = this.get(key);
    return value === undefined ? undefined : Number(parse(value, key));
  }
}

function parse(text: string, key: string): bigint {
  try {
    return BigInt(text);
  } catch {
    throw new KdumpError('bad-vmcoreinfo', `VMCOREINFO: ${key} is not a number: '${text}'`);
  }
}
