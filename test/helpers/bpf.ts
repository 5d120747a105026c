/**
 * Classic BPF as the kernel runs it over `struct seccomp_data`, written apart from the compiler.
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

function encodeData({ nr, arch, args = [] }: SeccompData): DataView {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint32(0, nr, true);
  view.setUint32(4, arch, true);
  args.forEach((value, i) => {
    view.setBigUint64(16 + 8 * i, value, true);
  });
  return view;
}

const comparisons = new Map<number, (a: number, k: number) => boolean>([
  [0x15, (a, k) => a === k],
  [0x25, (a, k) => a > k],
  [0x35, (a, k) => a >= k],
  [0x45, (a, k) => (a & k) !== 0],
]);

/** A filter ready to be run; decoding it once makes many runs cheap. */
export class Filter {
  readonly #code: readonly Instruction[];

  constructor(bytes: Uint8Array) {
    this.#code = decode(bytes);
  }

  /** The `SECCOMP_RET_*` value of the call. @throws Error where the kernel would refuse the filter */
  run(data: SeccompData): number {
    const memory = encodeData(data);
    let a = 0;
    let pc = 0;
    for (;;) {
      const { code, jt, jf, k } = this.#at(pc);
      pc += 1;
      const compare = comparisons.get(code);
      if (compare !== undefined) pc += compare(a, k) ? jt : jf;
      else if (code === 0x20) a = loadWord(memory, k);
      else if (code === 0x54) a = (a & k) >>> 0;
      else if (code === 0x05) pc += k;
      else if (code === 0x06) return k;
      else throw new Error(`opcode 0x${code.toString(16)} at ${pc - 1}`);
    }
  }

  /** The most instructions that any call can take. */
  longestPath(): number {
    const longest: number[] = [];
    for (let pc = this.#code.length - 1; pc >= 0; pc--) {
      const { code, jt, jf, k } = this.#at(pc);
      const next = (offset: number) => longest[pc + 1 + offset] ?? Number.NaN;
      if (code === 0x06) longest[pc] = 1;
      else if (code === 0x05) longest[pc] = 1 + next(k);
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

function loadWord(memory: DataView, at: number): number {
  if (at % 4 !== 0 || at > 60) throw new Error(`load at ${at}`);
  return memory.getUint32(at, true);
}
