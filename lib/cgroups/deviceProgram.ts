import type { DeviceException, DevicePolicy } from './deviceRules.js';

/** Opcodes of the instructions used here (linux/bpf_common.h, linux/bpf.h). */
const op = {
  /** BPF_LDX | BPF_W | BPF_MEM: dst = *(u32 *)(src + off) */
  load: 0x61,
  /** BPF_ALU | BPF_AND | BPF_K */
  and: 0x54,
  /** BPF_ALU | BPF_RSH | BPF_K */
  shiftRight: 0x74,
  /** BPF_ALU | BPF_MOV | BPF_X */
  copy: 0xbc,
  /** BPF_ALU | BPF_MOV | BPF_K */
  set: 0xb4,
  /** BPF_JMP32 | BPF_JEQ | BPF_K */
  ifEqual: 0x16,
  /** BPF_JMP32 | BPF_JNE | BPF_K */
  ifNotEqual: 0x56,
  /** BPF_JMP | BPF_EXIT */
  exit: 0x95,
} as const;

/** Registers. The context in r1 is not needed once the four values are loaded. */
const reg = { answer: 0, context: 1, type: 2, access: 3, major: 4, minor: 5, scratch: 1 } as const;

/** BPF_DEVCG_ACC_* */
const accessBits: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
/** BPF_DEVCG_DEV_* */
const typeNumber = { b: 1, c: 2 } as const;

const instructionSize = 8;
/** Instructions of `answer`. */
const answerLength = 2;

/**
 * A device policy as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE: returns 1 to allow an
 * access, 0 to deny it with EPERM. It decides as the v1 controller does: where everything is
 * denied, one exception must grant the whole access; where everything is allowed, an exception
 * denies an access that has anything in common with it.
 * @returns `struct bpf_insn[]`, little-endian as on x86_64 and aarch64
 * @see struct bpf_cgroup_dev_ctx in linux/bpf.h
 */
export function deviceProgram(policy: DevicePolicy): Uint8Array {
  const parts = [
    // access_type is (access << 16) | type
    instruction(op.load, reg.type, reg.context, 0, 0),
    instruction(op.load, reg.major, reg.context, 4, 0),
    instruction(op.load, reg.minor, reg.context, 8, 0),
    instruction(op.copy, reg.access, reg.type, 0, 0),
    instruction(op.and, reg.type, 0, 0, 0xffff),
    instruction(op.shiftRight, reg.access, 0, 0, 16),
    ...policy.exceptions.map((exception) => exceptionBlock(exception, policy.allow)),
    answer(policy.allow),
  ];
  return concat(parts);
}

/** Answers `!allow` when the access is the exception; otherwise goes on to the next block. */
function exceptionBlock(exception: DeviceException, allow: boolean): Uint8Array {
  const { type, major, minor, access } = exception;
  const bits = [...access].reduce((sum, letter) => sum | (accessBits[letter] ?? 0), 0);
  // What must be zero for "granted as a whole", or not zero for "has something in common".
  const mask = allow ? bits : ~bits & 7;
  const tests: [number, number, number][] = [
    [op.ifNotEqual, reg.type, typeNumber[type]],
    [allow ? op.ifEqual : op.ifNotEqual, reg.scratch, 0],
  ];
  if (major !== undefined) tests.push([op.ifNotEqual, reg.major, major]);
  if (minor !== undefined) tests.push([op.ifNotEqual, reg.minor, minor]);
  const prepare = [
    instruction(op.copy, reg.scratch, reg.access, 0, 0),
    instruction(op.and, reg.scratch, 0, 0, mask),
  ];
  const jumps = tests.map(([code, register, value], at) =>
    // Over the tests that follow and the answer, to the next block.
    instruction(code, register, 0, tests.length - at - 1 + answerLength, value),
  );
  return concat([...prepare, ...jumps, answer(!allow)]);
}

function answer(allow: boolean): Uint8Array {
  return concat([
    instruction(op.set, reg.answer, 0, 0, allow ? 1 : 0),
    instruction(op.exit, 0, 0, 0, 0),
  ]);
}

/** `struct bpf_insn`: opcode, two registers in a byte, 16-bit offset, 32-bit constant. */
function instruction(
  code: number,
  destination: number,
  source: number,
  offset: number,
  constant: number,
): Uint8Array {
  const bytes = new Uint8Array(instructionSize);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, code);
  view.setUint8(1, (source << 4) | destination);
  view.setInt16(2, offset, true);
  view.setUint32(4, constant, true);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
