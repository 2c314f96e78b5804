/**
 * What is known about a kernel's types and symbols, wherever it comes from: BTF found in the dump, DWARF of a vmlinux.
 * Offsets and sizes are bytes; names are those of C without the words struct, union and enum.
 */
export type TypeRef = {
  readonly kind:
    | 'struct'
    | 'union'
    | 'pointer'
    | 'array'
    | 'integer'
    | 'enum'
    | 'function'
    | 'void'
    | 'unknown';
  /** Name of the struct, union, enum or base type; empty when it has none. */
  readonly name: string;
  /** Bytes; 0 when it has no size. */
  readonly size: number;
  /** Number of elements of an array. */
  readonly length?: number;
  /** What a pointer points to or an array holds; typedefs and qualifiers are looked through. */
  target?(): TypeRef;
};

export type TypeMember = {
  /** Bytes from the start of the outermost structure. */
  readonly offset: number;
  readonly type: TypeRef;
};

export type KernelTypes = {
  /** A struct, union, enum, typedef or base type; undefined when there is none or it is only declared. */
  find(name: string): TypeRef | undefined;
  /** A member by its path ('mm_struct', 'owner' or 'task_struct', 'thread.sp'); anonymous members are looked into. */
  member(struct: string, path: string): TypeMember | undefined;
  /** Value of an enumeration constant of any enum ('PG_lru'). */
  enumerator(name: string): bigint | undefined;
  /** Type of a global variable. BTF knows it for per-CPU variables only; DWARF for all. */
  variable(symbol: string): TypeRef | undefined;
};

export type KernelSymbols = {
  /** Run-time virtual address (KASLR applied) of a symbol. */
  address(name: string): bigint | undefined;
};
