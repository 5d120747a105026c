/**
 * Classic BPF as the kernel checks it and runs it over `struct seccomp_data`, written apart from
 * the compiler; test/kernel/seccompKernel.test.ts compares it with the kernel itself. It knows only
 * what our filters are made of, and refuses the rest.
 * @see Documentation/networking/filter.rst, seccomp(2)
 */

/** What a filter sees of a call. */
export interface SeccompData {
  nr: number;
  arch: number;
  args?: readonly bigint[];
}

interface Instruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

function decode(filter: Uint8Array): Instruction[] {
  if (filter.length % 8 !== 0)
    throw new Error(`${filter.length} bytes are no array of sock_filter`);
  const view = new DataView(filter.buffer, filter.byteOffset, filter.length);
  return Array.from({ length: filter.length / 8 }, (_, i) => ({
    code: view.getUint16(i * 8, true),
    jt: view.getUint8(i * 8 + 2),
    jf: view.getUint8(i * 8 + 3),
    k: view.getUint32(i * 8 + 4, true),
  }));
}

/** `struct seccomp_data`, by words. */
function toWords({ nr, arch, args = [] }: SeccompData): Uint32Array {
  const words = new Uint32Array(16);
  words[0] = nr;
  words[1] = arch;
  for (const [i, value] of args.entries()) {
    words[4 + 2 * i] = Number(value & 0xffffffffn);
    words[5 + 2 * i] = Number(value >> 32n);
  }
  return words;
}

const comparisons = new Map<number, (a: number, k: number) => boolean>([
  [0x15, (a, k) => a === k],
  [0x25, (a, k) => a > k],
  [0x35, (a, k) => a >= k],
  [0x45, (a, k) => (a & k) !== 0],
]);

const opcodes = { load: 0x20, and: 0x54, ja: 0x05, ret: 0x06 };

/** BPF_MAXINSNS. */
const maxInstructions = 4096;

/**
 * What the kernel asks of a filter before it takes it: known instructions, loads of aligned words of
 * `struct seccomp_data`, jumps that stay inside, a return at the end.
 * @see net/core/filter.c bpf_check_classic(), kernel/seccomp.c seccomp_check_filter()
 */
function checkAsKernel(code: readonly Instruction[]): void {
  const { length } = code;
  if (length === 0 || length > maxInstructions) throw new Error(`${length} instructions`);
  const known = [...comparisons.keys(), ...Object.values(opcodes)];
  for (const [at, { code: opcode, jt, jf, k }] of code.entries()) {
    const wrong = (what: string) => new Error(`${what} at ${at} of ${length}`);
    if (!known.includes(opcode)) throw wrong(`opcode 0x${opcode.toString(16)}`);
    if (opcode === opcodes.load && (k % 4 !== 0 || k >= 64)) throw wrong(`load of ${k}`);
    const farthest = comparisons.has(opcode) ? Math.max(jt, jf) : opcode === opcodes.ja ? k : 0;
    if (opcode !== opcodes.ret && at + 1 + farthest >= length) throw wrong('jump or end');
  }
  if (code.at(-1)?.code !== opcodes.ret) throw new Error('no return at the end');
}

/** A filter ready to be run; decoding and checking it once makes many runs cheap. */
export class Filter {
  readonly #code: readonly Instruction[];

  /** @throws Error where the kernel would refuse the filter */
  constructor(bytes: Uint8Array) {
    this.#code = decode(bytes);
    checkAsKernel(this.#code);
  }

  /** How many instructions it has. */
  get length(): number {
    return this.#code.length;
  }

  /** The `SECCOMP_RET_*` value of the call. */
  run(data: SeccompData): number {
    const words = toWords(data);
    let a = 0;
    let pc = 0;
    for (;;) {
      const { code, jt, jf, k } = this.#at(pc);
      pc += 1;
      const compare = comparisons.get(code);
      if (compare !== undefined) pc += compare(a, k) ? jt : jf;
      else if (code === opcodes.load) a = words[k / 4] as number;
      else if (code === opcodes.and) a = (a & k) >>> 0;
      else if (code === opcodes.ja) pc += k;
      else return k;
    }
  }

  /** The most instructions that any call can take. */
  longestPath(): number {
    const longest: number[] = [];
    for (let pc = this.#code.length - 1; pc >= 0; pc--) {
      const { code, jt, jf, k } = this.#at(pc);
      const next = (offset: number) => longest[pc + 1 + offset] ?? Number.NaN;
      if (code === opcodes.ret) longest[pc] = 1;
      else if (code === opcodes.ja) longest[pc] = 1 + next(k);
      else if (comparisons.has(code)) longest[pc] = 1 + Math.max(next(jt), next(jf));
      else longest[pc] = 1 + next(0);
    }
    return longest[0] ?? Number.NaN;
  }

  #at(pc: number): Instruction {
    const instruction = this.#code[pc];
    if (instruction === undefined) throw new Error(`jump to ${pc} of ${this.#code.length}`);
    return instruction;
  }
}
