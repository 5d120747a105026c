/**
 * Classic BPF, the part that seccomp's cache of allowed calls can follow.
 * @see Documentation/networking/filter.rst, kernel/seccomp.c seccomp_is_const_allow()
 */
/** Opcodes of classic BPF that a filter of ours has. */
export const code = { load: 0x20, and: 0x54, ja: 0x05, jeq: 0x15, jgt: 0x25, jge: 0x35, ret: 0x06 };

/** Offsets in `struct seccomp_data`. */
export const offset = {
  nr: 0,
  arch: 4,
  /** Low word of an argument; the high one is 4 further on, for both machines are little endian. */
  argument: (index: number): number => 16 + 8 * index,
};

/** An instruction of a `Program`: how many there are from it to the end, itself included. */
export type Label = number;

/** What jt and jf hold is below this: one less than a byte, for a far `no` moves `yes` by one. */
const reach = 255;

/**
 * A filter, written from its last instruction to its first: jumps only go forward, so each target
 * is known when the jump to it is made.
 */
export class Program {
  readonly #reversed: { code: number; jt: number; jf: number; k: number }[] = [];
  readonly #shared = new Map<string, Label>();

  /** Instructions so far; also the label of the one that was added last. */
  get length(): number {
    return this.#reversed.length;
  }

  #add(code: number, k: number, jt = 0, jf = 0): Label {
    this.#reversed.push({ code, jt, jf, k });
    return this.length;
  }

  /** The label of `key` if it was made within reach of here, else what `make` adds. */
  share(key: string, make: () => Label): Label {
    const known = this.#shared.get(key);
    if (known !== undefined && this.length - known < reach) return known;
    const label = make();
    this.#shared.set(key, label);
    return label;
  }

  /** Ends the filter with a `SECCOMP_RET_*` value. */
  result(value: number): Label {
    return this.share(`result ${value}`, () => this.#add(code.ret, value));
  }

  /** Loads a word of `struct seccomp_data`, masks it, and goes on at `next`. */
  load(at: number, next: Label, mask = 0xffffffff): Label {
    this.#fallTo(next);
    if (mask !== 0xffffffff) this.#add(code.and, mask);
    return this.#add(code.load, at);
  }

  /** Goes on at `yes` if the loaded word compares so with `k`, else at `no`. */
  jump(test: 'jeq' | 'jgt' | 'jge', k: number, yes: Label, no: Label): Label {
    if (yes === no) return yes;
    const jt = this.#near(yes);
    const jf = this.#near(no);
    return this.#add(code[test], k, this.length - jt, this.length - jf);
  }

  /** Makes sure that what is added next falls through to `target`. */
  #fallTo(target: Label): void {
    if (target !== this.length) this.#add(code.ja, this.length - target);
  }

  /** A label within a byte's reach that leads to `target`. */
  #near(target: Label): Label {
    return this.length - target < reach ? target : this.#add(code.ja, this.length - target);
  }

  /** The filter as an array of `struct sock_filter`, little endian, beginning at `start`. */
  encode(start: Label): Uint8Array {
    const bytes = new Uint8Array(start * 8);
    const view = new DataView(bytes.buffer);
    this.#reversed
      .slice(0, start)
      .reverse()
      .forEach((instruction, at) => {
        view.setUint16(at * 8, instruction.code, true);
        view.setUint8(at * 8 + 2, instruction.jt);
        view.setUint8(at * 8 + 3, instruction.jf);
        view.setUint32(at * 8 + 4, instruction.k, true);
      });
    return bytes;
  }
}
